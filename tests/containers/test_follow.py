"""Real Varnish, Pushpin and nginx learn of peers that come and go, and drop nothing for it."""

from __future__ import annotations

import os
import re
import signal
import threading

import httpx

from stack.render import PUSHPIN_PORTS
from tests.e2e.viewers import until

KEY = {"Fastly-Key": "key-of-the-edge"}


def get(url):
    """What was answered; "" while nothing serves."""
    try:
        answer = httpx.get(url, timeout=10, trust_env=False)
    except httpx.HTTPError:
        return ""
    return answer.text if answer.status_code == 200 else ""


def test_varnish_asks_new_origins_and_keeps_its_cache_and_its_keys(follower, named, ports):
    """A purge finds what was stored before the origins changed."""
    port, metrics = ports("varnish", "exporter").values()
    url, old, new = f"http://127.0.0.1:{port}", named("old"), named("new")
    environment = {"METRICS_PORT": str(metrics)}
    varnish = follower("varnish", address=f"127.0.0.1:{port}", environment=environment)
    varnish.tell(origin=[old.address])
    varnish.start()
    until(lambda: get(f"{url}/kept") == "old", "Varnish", 30)

    varnish.tell(origin=[new.address])
    asked = iter(range(1000))
    until(lambda: get(f"{url}/{next(asked)}") == "new", "the new origin", 30)
    assert get(f"{url}/kept") == "old"
    assert httpx.post(f"{url}/service/holdfast/purge/value:x", headers=KEY).status_code == 200
    assert get(f"{url}/kept") == "new"

    # Its exporter goes on, whatever the VCL is called.
    figures = f"http://127.0.0.1:{metrics}/metrics"
    assert "varnish_up 1" in get(figures)
    assert re.search(r'^varnish_backend_up{backend="[^"]*origin_1",', get(figures), re.MULTILINE)

    # Nobody answers for the name any more: it is still whose copy to serve.
    varnish.tell()
    assert get(f"{url}/other") == "new"
    assert varnish.stop() == 0
    assert get(figures) == ""


def test_pushpin_goes_on_with_other_edges(follower, named, ports):
    numbers = ports(*PUSHPIN_PORTS)
    url, old, new = f"http://127.0.0.1:{numbers['http']}", named("old"), named("new")
    pushpin = follower("pushpin", host="127.0.0.1", ports=numbers)
    pushpin.tell(varnish=[old.address])
    pushpin.start()
    until(lambda: get(url) == "old", "Pushpin", 30)
    pushpin.tell(varnish=[new.address])
    until(lambda: get(url) == "new", "the new edge", 30)
    assert pushpin.stop() == 0


def test_nginx_cuts_no_stream_when_peers_change(follower, named, ports):
    port = ports("nginx")["nginx"]
    url = f"http://127.0.0.1:{port}"
    old, edge = named("old"), named("edge")
    nginx = follower("nginx", address=f"127.0.0.1:{port}")
    others = {"varnish": [edge.address], "websocket": [edge.address]}
    nginx.tell(pushpin=[old.address], **others)
    nginx.start()
    until(lambda: get(f"{url}/values/x") == "edge", "nginx", 30)

    lines, began = [], threading.Event()

    def watch():
        with httpx.stream("GET", f"{url}/stream", timeout=60, trust_env=False) as answer:
            for line in answer.iter_lines():
                lines.append(line)
                began.set()

    viewer = threading.Thread(target=watch, daemon=True)
    viewer.start()
    assert began.wait(30)
    # Twice: after the second change whatever the first one would have cut has ended.
    for name in ("new", "newer"):
        nginx.tell(pushpin=[named(name).address], **others)
        until(lambda: get(f"{url}/events/x/") == name, f"the {name} Pushpin", 30)  # noqa: B023
    old.tick.set()
    viewer.join(30)
    assert lines == ["old", "old again"]
    assert nginx.stop() == 0


def test_a_part_waits_until_there_is_somebody(follower, named, ports):
    port = ports("varnish")["varnish"]
    url, origin = f"http://127.0.0.1:{port}", named("late")
    varnish = follower("varnish", address=f"127.0.0.1:{port}")
    varnish.tell()
    varnish.start()
    until(lambda: "waiting for origins" in (varnish.folder / "log").read_text(), "a line", 30)
    varnish.tell(origin=[origin.address])
    until(lambda: get(url) == "late", "Varnish", 30)

    # When the part ends, so does the container: it is started again.
    varnishd = int((varnish.folder / "run" / "work" / "_.pid").read_text())
    os.kill(varnishd, signal.SIGKILL)
    assert varnish.process.wait(20) != 0
