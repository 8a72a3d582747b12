"""AWS's Lambda runtime interface emulator: one execution environment of a function.

It handles one invocation at a time, and dies of a second one at once. Its first invocation starts
the function; after a timeout or a crash the next one starts it anew.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from holdfast.errors import ConfigError

HERE = Path(__file__).parent
VERSION = (HERE / "emulator.version").read_text().strip()
PROGRAM = HERE / "bin" / f"aws-lambda-rie-{VERSION}"
INVOKE = "/2015-03-31/functions/function/invocations"


def require() -> Path:
    """The emulator. ConfigError says what is missing, and what to do."""
    if not PROGRAM.exists():
        try:
            done = subprocess.run(
                ["go", "env", "GOVERSION"], capture_output=True, text=True, check=False
            )
            found = f"this machine has {done.stdout.strip() or 'a broken one'}"
        except OSError:
            found = "there is none on this machine"
        raise ConfigError(
            "AWS's Lambda emulator is missing: `scripts/setup --serverless` builds it, with Go "
            f"1.26.6 or newer; {found}"
        )
    return PROGRAM


def command(port: int, runtime_port: int, python: str, handler: str) -> tuple[str, ...]:
    """Runs `handler`, a dotted name, under `python`; invoked at `port`. ConfigError: no emulator.

    runtime_port: where the function asks for its next event.
    """
    return (
        str(require()),
        *("--log-level", "warn"),
        *("--runtime-interface-emulator-address", f"127.0.0.1:{port}"),
        *("--runtime-api-address", f"127.0.0.1:{runtime_port}"),
        *(python, "-m", "awslambdaric", handler),
    )
