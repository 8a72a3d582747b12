"""What a node's answer means: taken, or an error that says why and when to ask again."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime

import requests

MOST_WAIT_S = 3600.0  # Fastly counts by the hour
MOST_TEXT = 200


class RefusedError(requests.HTTPError):
    """The node answered, and did not take it.

    result: how it is counted: "refused" (the token), "limited" (too many requests), or "failed".
    wait_s: how long the node asks to be left alone, 0 = it does not say.
    """

    def __init__(self, answer: requests.Response, why: str, result: str, wait_s: float = 0.0):
        super().__init__(why, response=answer)
        self.result = result
        self.wait_s = wait_s


def check(answer: requests.Response) -> None:
    """RefusedError unless the node has taken what it was sent."""
    status = answer.status_code
    if 200 <= status < 300:
        return
    if status in (401, 403):
        why = f"it refuses the token ({status}): check HOLDFAST_FASTLY_KEY, or the key in the URL"
        raise RefusedError(answer, why, "refused")
    wait_s = _wait_s(answer)
    if status == 429:
        raise RefusedError(
            answer, f"too many requests (429); again in {wait_s:.0f} s", "limited", wait_s
        )
    if status < 400:
        # Followed, a POST would become a GET: nothing purged, nothing published, and a 200.
        raise RefusedError(answer, f"it redirects ({status}): check the URL", "failed")
    text = " ".join(answer.text[:MOST_TEXT].split())
    raise RefusedError(answer, f"it answers {status}: {text}", "failed", wait_s)


def _wait_s(answer: requests.Response) -> float:
    """From Retry-After (RFC 9110, 10.2.3), or from the end of Fastly's hour, seconds since 1970."""
    after = answer.headers.get("Retry-After", "")
    reset = answer.headers.get("Fastly-RateLimit-Reset", "")
    wait_s = 0.0
    if after.isdecimal():
        wait_s = float(after)
    elif after:
        try:
            wait_s = parsedate_to_datetime(after).timestamp() - time.time()
        except ValueError:
            wait_s = 0.0
    elif reset.isdecimal() and answer.headers.get("Fastly-RateLimit-Remaining", "0") == "0":
        wait_s = float(reset) - time.time()
    return min(MOST_WAIT_S, max(0.0, wait_s))
