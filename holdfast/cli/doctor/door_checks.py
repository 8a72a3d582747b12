"""The front door, as a client sees it: a snapshot, a stream, and what must not be reachable."""

from __future__ import annotations

import time
from collections.abc import Iterator

from holdfast.cli.doctor.findings import Finding, Site, fail, ok
from holdfast.cli.doctor.node_checks import TIMEOUT_S, session

PART = "front door"
# What has to be 404 from outside.
HIDDEN = ("/metrics", "/health/ready", "/service/holdfast/purge/x")


def check_door(site: Site) -> Iterator[Finding]:
    if site.url is None:
        return
    url = site.url.rstrip("/")
    name = site.values.default.name
    with session() as http:
        http.verify = site.ca or True
        answer = http.get(f"{url}/values/{name}", timeout=TIMEOUT_S)
        if answer.status_code != 200:
            yield fail(
                PART,
                f"{url}/values/{name} answers {answer.status_code}",
                "nginx asks the edges: look at what is said of them",
            )
        else:
            yield ok(PART, "shows a snapshot")
        for path in HIDDEN:
            status = http.get(f"{url}{path}", timeout=TIMEOUT_S, allow_redirects=False).status_code
            if status != 404:
                yield fail(PART, f"{path} answers {status}", "let it through to nobody")
        status = http.get(f"{url}/api/budget", timeout=TIMEOUT_S).status_code
        if status not in (401, 404, 429):
            yield fail(PART, f"/api/ answers {status} without a token", "see docs/contract.md")
        started = time.monotonic()
        with http.get(f"{url}/values/{name}?as=sse", stream=True, timeout=TIMEOUT_S) as stream:
            kind = stream.headers.get("Content-Type", "")
            first = next(stream.iter_content(1), b"")
            if stream.status_code != 200 or not kind.startswith("text/event-stream") or not first:
                yield fail(
                    PART,
                    f"a stream is answered by {stream.status_code} {kind}",
                    "is Pushpin there, and have it and the origins the same HOLDFAST_GRIP_KEY?",
                )
                return
            yield ok(PART, f"a stream begins after {time.monotonic() - started:.2f} s")
