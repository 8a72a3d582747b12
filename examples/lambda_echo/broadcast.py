"""What one WebSocket says, every WebSocket hears: a broadcast as one AWS Lambda function."""

import base64
import os

import requests
from gripcontrol import WebSocketEvent, validate_sig
from gripcontrol import decode_websocket_events as decode
from gripcontrol import encode_websocket_events as encode

EVENTS = "application/websocket-events"
HEADERS = {"content-type": EVENTS, "sec-websocket-extensions": "grip"}
SUBSCRIBE = WebSocketEvent("TEXT", b'c:{"type": "subscribe", "channel": "all"}')  # for Pushpin
ANSWER = {"statusCode": 200, "headers": HEADERS, "isBase64Encoded": True}


def handler(event, context):
    if event["headers"].get("content-type") != EVENTS:
        return {"statusCode": 400, "body": "Not a WebSocket-over-HTTP request\n"}
    if not validate_sig(event["headers"].get("grip-sig", ""), os.environ["GRIP_KEY"]):
        return {"statusCode": 403, "body": "Grip-Sig is not valid\n"}
    body = base64.b64decode(event.get("body") or "")
    asked, items, said = decode(body), [], []
    if encode(asked) != body:  # decoding does not see that the end is missing
        return {"statusCode": 400, "body": "The events are cut short\n"}
    for one in asked:
        if one.type == "TEXT":
            items.append({"content": one.content.decode()})
        elif one.type == "BINARY":
            items.append({"content-bin": base64.b64encode(one.content).decode()})
        elif one.type == "PING":
            said.append(WebSocketEvent("PONG", one.content))
        elif one.type in ("OPEN", "CLOSE"):
            said += [one, SUBSCRIBE] if one.type == "OPEN" else [one]
    if items:
        items = [{"channel": "all", "formats": {"ws-message": item}} for item in items]
        answer = requests.post(os.environ["PUBLISH_URL"], json={"items": items}, timeout=2)
        answer.raise_for_status()
    return {**ANSWER, "body": base64.b64encode(encode(said)).decode()}
