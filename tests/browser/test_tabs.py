"""Many tabs of one browser, each with a stream of its own, as without holdfast.js.

Over HTTP/1.1 the seventh would wait for ever (CASES: six connections).
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess

from tests.e2e.viewers import post, snapshot

TABS = 20
# As many as nginx takes from one connection, and some more.
REQUESTS = 1_010


def _fingerprint(certificate):
    """Of its public key, as Chromium wants to hear it."""
    key = subprocess.run(
        ["openssl", "x509", "-in", certificate.file, "-noout", "-pubkey"],
        capture_output=True,
        check=True,
    ).stdout
    body = base64.b64decode(b"".join(key.splitlines()[1:-1]))
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


# The newest release that a tab's own EventSource got, in window.newest.
WATCH = """
    new EventSource("/values/counter?as=sse").onmessage = ({ data }) => {
      window.newest = JSON.parse(data).value;
    };
"""


def _newest(driver):
    return driver.execute_script("return window.newest")


class Network:
    """What the tabs' requests came to, as far as Chromium's log was read."""

    def __init__(self, driver):
        self._driver = driver
        self.answers = {}  # request id -> (url, protocol, connection)
        self.failures = {}  # request id -> reason

    def read(self):
        for line in self._driver.get_log("performance"):
            message = json.loads(line["message"])["message"]
            params = message["params"]
            if message["method"] == "Network.responseReceived":
                answer = params["response"]
                heard = (answer["url"], answer["protocol"], answer["connectionId"])
                self.answers[params["requestId"]] = heard
            elif message["method"] == "Network.loadingFailed":
                self.failures[params["requestId"]] = params["errorText"]
        return self

    def connections(self, wanted):
        """(protocol, connection) of each answer from such a URL."""
        return [tuple(more) for url, *more in self.answers.values() if wanted in url]

    @property
    def changed(self):
        """How many streams Chromium itself ended: this machine's network interfaces changed."""
        streams = [request for request, answer in self.answers.items() if "as=sse" in answer[0]]
        failures = [self.failures[request] for request in streams if request in self.failures]
        assert set(failures) <= {"net::ERR_NETWORK_CHANGED"}
        return len(failures)


def test_twenty_tabs_of_one_browser_are_all_live_over_http2(stack, tls_door, open_window, wait):
    trust = f"--ignore-certificate-errors-spki-list={_fingerprint(tls_door.certificate)}"
    driver = open_window(f"{tls_door.url}/values/counter", trust)
    driver.execute_script(WATCH)
    for _ in range(TABS - 1):
        driver.switch_to.new_window("tab")
        driver.get(f"{tls_door.url}/values/counter")
        driver.execute_script(WATCH)
    network = Network(driver)

    def each_tab(condition, what):
        for tab in driver.window_handles:
            driver.switch_to.window(tab)
            wait(driver, condition, what)

    def add_and_see():
        wanted = snapshot(stack.url, "counter")["value"] + 1
        assert post(stack.url, "counter", {"add": 1}).status_code == 202
        each_tab(lambda it: _newest(it) >= wanted, "the update")

    each_tab(lambda it: _newest(it) is not None, "the newest release")
    add_and_see()
    streams = network.read().connections("as=sse")
    assert {protocol for protocol, _ in streams} == {"h2"}
    assert len(streams) >= TABS
    if not network.changed:
        assert len(set(streams)) == 1  # one connection carries them all
    # nginx has a client ask the next thing on another connection; what is open goes on in this one.
    driver.execute_async_script(
        """
        const [requests, done] = arguments;
        const ask = () => fetch("/static/favicon.svg?again", {cache: "no-store"});
        (async () => {
          for (let asked = 0; asked < requests; asked += 10) {
            await Promise.all(Array.from({length: 10}, ask));
          }
          done();
        })();
        """,
        REQUESTS,
    )
    add_and_see()
    assert len(set(network.read().connections("?again"))) > 1
    assert len(network.connections("as=sse")) <= TABS + network.changed
