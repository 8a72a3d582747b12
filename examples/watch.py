"""Shows a value as it changes: python examples/watch.py http://127.0.0.1:8080 counter"""

import contextlib
import sys

from holdfast.client import Client, State


def on_state(state: State) -> None:
    print(f"({state})")


def main(url: str, name: str) -> None:
    with Client(url) as client:
        for release in client.watch(name, on_state):
            print(f"{release.released_at}  {release.name} = {release.value}")


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main(*sys.argv[1:])
