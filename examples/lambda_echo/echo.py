"""A WebSocket echo as one AWS Lambda function. Pushpin holds the sockets; README.md has more."""

import base64
import os

from gripcontrol import WebSocketEvent, validate_sig
from gripcontrol import decode_websocket_events as decode
from gripcontrol import encode_websocket_events as encode

EVENTS = "application/websocket-events"


def handler(event, context):
    if event["headers"].get("content-type") != EVENTS:
        return refuse(400, "Not a WebSocket-over-HTTP request")
    if not validate_sig(event["headers"].get("grip-sig", ""), os.environ["GRIP_KEY"]):
        return refuse(403, "Grip-Sig is not valid")
    body = base64.b64decode(event.get("body") or "")
    try:
        asked = decode(body)
    except ValueError:
        asked = []
    if encode(asked) != body:  # decoding does not see that the end is missing
        return refuse(400, "The events are cut short")
    said = encode([reply for one in asked for reply in replies(one)])
    answer = {"statusCode": 200, "headers": {"content-type": EVENTS}, "isBase64Encoded": True}
    return {**answer, "body": base64.b64encode(said).decode()}


def replies(event):
    if event.type == "PING":
        return [WebSocketEvent("PONG", event.content)]
    return [event] if event.type in ("OPEN", "TEXT", "BINARY", "CLOSE") else []


def refuse(status, why):
    return {"statusCode": status, "headers": {"content-type": "text/plain"}, "body": why + "\n"}
