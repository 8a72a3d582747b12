"""The examples at two paths of one function; a message tells it to fail."""

from __future__ import annotations

import os
import time
from base64 import b64decode

from examples.lambda_echo import broadcast, echo


def handler(event, context):
    said = b64decode(event.get("body") or "")
    if b"raise!" in said:
        raise ValueError("told to")
    if b"exit!" in said:
        os._exit(3)
    if b"sleep!" in said:
        time.sleep(60)
    answer = broadcast if event["rawPath"] == "/broadcast" else echo
    return answer.handler(event, context)
