"""The browser's own WebSocket, without a library, against the real front door."""

from __future__ import annotations

import json
import os
import signal

from tests.e2e.viewers import answers, post, snapshot, until

# What docs/websocket.md shows, and what came and went.
_OPEN = """
window.heard = [];
window.over = false;
window.socket = new WebSocket(location.origin.replace("http", "ws") + "/ws");
window.socket.onopen = () => window.socket.send(
  JSON.stringify({ type: "subscribe", names: ["visits"] }));
window.socket.onmessage = (event) => window.heard.push(...[].concat(JSON.parse(event.data)));
window.socket.onclose = () => { window.over = true; };
"""


def _heard(driver, type_):
    found = json.loads(driver.execute_script("return JSON.stringify(window.heard)"))
    return [message for message in found if message["type"] == type_]


def _shows(value):
    return lambda driver: [it["value"] for it in _heard(driver, "value")][-1:] == [value]


def _opened(driver):
    """Tries once; whether it is open, and its first value there."""
    driver.execute_script(_OPEN)
    until(
        lambda: driver.execute_script("return window.over || window.heard.length > 1"),
        "an open socket, or a refusal",
        30,
    )
    return bool(_heard(driver, "value"))


def test_a_browser_hears_releases_adds_and_comes_back_after_pushpin_was_killed(
    stack, open_window, wait
):
    driver = open_window(stack.url)
    until(lambda: _opened(driver), "a socket", 60)
    before = snapshot(stack.url, "visits")["value"]
    wait(driver, _shows(before), "the newest release at once")

    assert post(stack.url, "visits", {"add": 1}).status_code == 202
    wait(driver, _shows(before + 1), "a release")

    update = {"type": "add", "name": "visits", "value": 2, "id": "mine"}
    driver.execute_script("window.socket.send(arguments[0])", json.dumps(update))
    wait(driver, lambda driver: _heard(driver, "accepted"), "the acknowledgement")
    (accepted,) = _heard(driver, "accepted")
    assert (accepted["id"], accepted["name"], accepted["topic"]) == ("mine", "visits", "updates")
    wait(driver, _shows(before + 3), "its release")
    assert _heard(driver, "error") == []

    os.killpg(os.getpgid(stack.pid("websocket-1")), signal.SIGKILL)
    wait(driver, lambda driver: driver.execute_script("return window.over"), "the end")
    assert post(stack.url, "visits", {"add": 1}).status_code == 202
    until(lambda: answers(f"{stack.url}/values/visits"), "the front door", 60)
    until(lambda: _opened(driver), "a socket at the new Pushpin", 60)
    wait(driver, _shows(before + 4), "what was missed")
    assert post(stack.url, "visits", {"add": 1}).status_code == 202
    wait(driver, _shows(before + 5), "and the next release")
