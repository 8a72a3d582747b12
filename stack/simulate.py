"""Some posters and viewers, so that the page lives: `holdfast up --simulate`."""

from __future__ import annotations

import itertools
import random
import sys
import threading
import time

import requests

POSTERS, VIEWERS = 3, 8
RETRY_S = 1.0
_HEADLINES = ("Tide is in", "Anchors hold", "Wind from the west", "All lines fast")


def simulate(url: str) -> None:
    """Post and watch until the process ends."""
    for _ in range(VIEWERS):
        threading.Thread(target=_watch, args=(f"{url}/values/counter?as=sse",), daemon=True).start()
    for _ in range(POSTERS):
        threading.Thread(target=_post, args=(url,), daemon=True).start()
    threading.Event().wait()


def _post(url: str) -> None:
    with requests.Session() as session:
        for turn in itertools.count():
            if turn % 20 == 0:
                name: str
                update: dict[str, object]
                name, update = "headline", {"set": random.choice(_HEADLINES)}  # noqa: S311
            else:
                name, update = "counter", {"add": random.randint(1, 5)}  # noqa: S311
            try:
                session.post(f"{url}/values/{name}", json=update, timeout=10)
            except requests.RequestException:
                time.sleep(RETRY_S)
            time.sleep(random.expovariate(1.0))


def _watch(url: str) -> None:
    while True:
        try:
            with requests.get(url, stream=True, timeout=(5, 60)) as answer:
                for _ in answer.iter_lines():
                    pass
        except requests.RequestException:
            pass
        time.sleep(random.uniform(0, RETRY_S))  # noqa: S311


if __name__ == "__main__":
    simulate(sys.argv[1])
