"""Some posters and viewers, so that the page lives: `holdfast up --simulate`."""

from __future__ import annotations

import itertools
import random
import sys
import threading
import time
import warnings

import requests
from urllib3.exceptions import InsecureRequestWarning

POSTERS, VIEWERS = 3, 8
RETRY_S = 1.0
_HEADLINES = ("Tide is in", "Anchors hold", "Wind from the west", "All lines fast")


def simulate(url: str) -> None:
    """Post and watch until the process ends.

    Whatever certificate the front door shows: it is this machine's own.
    """
    warnings.simplefilter("ignore", InsecureRequestWarning)
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
                session.post(f"{url}/values/{name}", json=update, timeout=10, verify=False)
            except requests.RequestException:
                time.sleep(RETRY_S)
            time.sleep(random.expovariate(1.0))


def _watch(url: str) -> None:
    while True:
        try:
            with requests.get(url, stream=True, timeout=(5, 60), verify=False) as answer:  # noqa: S501
                for _ in answer.iter_lines():
                    pass
        except requests.RequestException:
            pass
        time.sleep(random.uniform(0, RETRY_S))  # noqa: S311


if __name__ == "__main__":
    simulate(sys.argv[1])
