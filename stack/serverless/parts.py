"""A function, its environments and the bridge in front of them, as parts of a stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from stack import probes
from stack.layout import Part
from stack.serverless import emulator

ORIGIN = "serverless.handler.handler"
# Above what an update may wait for Kafka (origin/produce.py) and a start takes, below the edge's
# patience of 10 s.
TIMEOUT_S = 6
PATIENCE_S = 2.0
CONF = Path(__file__).parent / "gunicorn.conf.py"


def parts(
    names: Sequence[str],
    ports: Mapping[str, int],
    python: str,
    handler: str = ORIGIN,
    *,
    timeout_s: int = TIMEOUT_S,
    patience_s: float = PATIENCE_S,
) -> list[Part]:
    """An environment for each of `names`, and the part `bridge`. ConfigError: no emulator.

    timeout_s: what an invocation may take. patience_s: how long one waits for an environment.
    """
    environments = [_environment(name, ports, python, handler, timeout_s) for name in names]
    return [*environments, _bridge(names, ports, python, timeout_s, patience_s)]


def _environment(
    name: str, ports: Mapping[str, int], python: str, handler: str, timeout_s: int
) -> Part:
    port, runtime_port = ports[name], ports[f"{name}.runtime"]
    return Part(
        name,
        emulator.command(port, runtime_port, python, handler),
        {"http": port},
        lambda: probes.tcp(port),
        {
            "AWS_LAMBDA_FUNCTION_NAME": handler.replace(".", "-"),
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(timeout_s),
        },
    )


def _bridge(
    names: Sequence[str],
    ports: Mapping[str, int],
    python: str,
    timeout_s: int,
    patience_s: float,
) -> Part:
    port, metrics_port = ports["bridge"], ports["bridge.metrics"]
    return Part(
        "bridge",
        (
            str(Path(python).parent / "gunicorn"),
            *("-c", str(CONF), "--bind", f"127.0.0.1:{port}"),
            "stack.serverless.bridge:create_app()",
        ),
        {"http": port, "metrics": metrics_port},
        lambda: probes.tcp(port) and probes.tcp(metrics_port),
        {
            "BRIDGE_FUNCTIONS": ",".join(f"http://127.0.0.1:{ports[name]}" for name in names),
            "BRIDGE_TIMEOUT_S": str(timeout_s),
            "BRIDGE_PATIENCE_S": str(patience_s),
            "BRIDGE_METRICS_PORT": str(metrics_port),
        },
        stop_signal="INT",  # nothing here is worth a graceful end
        stop_group=False,
    )
