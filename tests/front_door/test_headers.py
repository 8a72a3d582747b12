"""What browsers are told about answers of every kind, whoever gives them."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import httpx
import pytest

# method, path, what else, status
ANSWERS = {
    "page": ("GET", "/", {}, 200),
    "page of topics": ("GET", "/events/", {}, 200),
    "its redirect": ("GET", "/events", {}, 308),
    "static file": ("GET", "/static/page.js", {}, 200),
    "missing static file": ("GET", "/static/nothing.js", {}, 404),
    "snapshot": ("GET", "/values/counter", {}, 200),
    "head": ("HEAD", "/values/counter", {}, 200),
    "history": ("GET", "/values/counter/history", {}, 200),
    "stream": ("GET", "/values/counter?as=sse", {}, 200),
    "text stream": ("GET", "/stream", {}, 200),
    "topic": ("GET", "/events/test/", {}, 200),
    "unknown topic": ("GET", "/events/nobody/", {}, 404),
    "update": ("POST", "/values/counter", {"json": {"add": 1}}, 202),
    "bad update": ("POST", "/values/counter", {"json": {"add": "x"}}, 422),
    "unknown value": ("GET", "/values/nobody", {}, 404),
    "the edge's own error": ("GET", "/a//b", {}, 404),
    "nginx's own error": ("GET", "/metrics", {}, 404),
    "nginx's own refusal": ("DELETE", "/values/counter", {}, 405),
    "too large for nginx": ("POST", "/values/counter", {"content": b"x" * 70_000}, 413),
    "Pushpin's own error": ("GET", "/", {"extensions": {"target": b"/stream?a=%zz"}}, 500),
    "Pushpin hung up": ("GET", "/stream", {"headers": {f"x-{n}": "x" for n in range(70)}}, 503),
}
OPEN = {
    "static file",
    "snapshot",
    "head",
    "history",
    "stream",
    "text stream",
    "topic",
    "unknown topic",
    "its redirect",
}
PAGES = {"page", "page of topics"}


def _ask(client, url, kind):
    """The head of an answer; streams don't end."""
    method, path, more, status = ANSWERS[kind]
    with client.stream(method, url + path, **more) as answer:
        assert answer.status_code == status, kind
        return answer.headers


@pytest.mark.parametrize("kind", ANSWERS)
def test_every_answer_says_what_it_must_and_once(stack, tls_door, kind):
    # httpx would send all of a body before it looks at what came back.
    http2 = kind != "too large for nginx"
    with httpx.Client(verify=tls_door.context, http2=http2, timeout=30) as client:
        secure, plain = (_ask(client, url, kind) for url in (tls_door.url, stack.url))
        local = _ask(client, f"https://localhost:{tls_door.port}", kind)
    for headers in (secure, local, plain):
        assert headers.get_list("X-Content-Type-Options") == ["nosniff"]
        assert headers.get("Access-Control-Allow-Origin") == ("*" if kind in OPEN else None)
        policy = headers.get("Content-Security-Policy")
        assert (policy is not None) == (kind in PAGES)
        assert headers.get("Referrer-Policy") == ("no-referrer" if kind in PAGES else None)
    assert secure.get_list("Strict-Transport-Security") == ["max-age=31536000"]
    # It would count for all the ports of a developer's own machine.
    assert "Strict-Transport-Security" not in local
    # A browser must not believe what anybody on the way could have said.
    assert "Strict-Transport-Security" not in plain


class _Inline(HTMLParser):
    """Collects what a policy without 'unsafe-inline' would forbid."""

    def __init__(self):
        super().__init__()
        self.found = []
        self.scripts = 0

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.scripts += tag == "script"
        if tag == "style" or (tag == "script" and "src" not in attributes):
            self.found.append(tag)
        for name, value in attrs:
            if name == "style" or name.startswith("on") or "javascript:" in (value or ""):
                self.found.append(f"{tag} {name}")


@pytest.mark.parametrize("path", ["/", "/events/"])
def test_pages_run_and_show_only_files_of_this_site(stack, path):
    answer = httpx.get(stack.url + path)
    policy = dict(
        part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    page = _Inline()
    page.feed(answer.text)
    assert page.scripts
    assert page.found == []
    links = re.findall(r"(?:src|href)=\"([^\"]*)\"", answer.text)
    assert links
    assert all(link.startswith("/static/") for link in links)
