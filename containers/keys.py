"""`python3 -m containers.keys FILE...`: random secrets, each made once, for its owner only."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path


def make(file: Path) -> None:
    """Nothing if there is one; never half of one, whenever this is killed."""
    if file.exists():
        return
    new = file.with_name(f"{file.name}.new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "w") as out:
        out.write(secrets.token_hex(32))
    new.rename(file)


def main() -> None:
    for name in sys.argv[1:]:
        make(Path(name))


if __name__ == "__main__":
    main()
