"""holdfast.js where networks are bad and tabs are many."""

from __future__ import annotations

import json
import uuid

import httpx
import pytest
from selenium.webdriver.common.by import By

from stack.layout import REPO
from tests.e2e.viewers import post, snapshot, until
from tests.front_door.doors import plain_doors

TABS = 8
SLOW_S = 60
# Whether this tab holds the lock: it takes another one and looks which client that belongs to.
LEADS = """
    const done = arguments[arguments.length - 1], mine = String(Math.random());
    navigator.locks.request(mine, async () => {
      const { held } = await navigator.locks.query();
      const client = (wanted) => held.find(({ name }) => name.startsWith(wanted))?.clientId;
      done(client("holdfast ") === client(mine));
    });
"""
# A synchronous request: nothing runs in that tab until it is answered, and no CPU is burnt. It
# begins when another tab says so: the driver waits for a tab in which it runs something.
HANG = """
    const [url] = arguments, request = new XMLHttpRequest();
    request.open("GET", url, false);
    new BroadcastChannel("hang").onmessage = () => request.send();
"""
# Notes what a watcher hears, in window.heard.
WATCH = """
    const [name, options, done] = arguments;
    import("/static/holdfast.js").then(({ watch }) => {
      window.heard = { values: [], states: [], past: [] };
      window.watcher = watch(name, {
        onValue: ({ version, text }) => heard.values.push([version, text]),
        onState: (state) => heard.states.push(state),
        onHistory: (releases) => { heard.past = releases.map(({ text }) => text); },
      }, options);
      done();
    });
"""


@pytest.fixture(scope="module")
def doors(stack):
    with plain_doors(stack.url) as doors:
        yield doors


@pytest.fixture
def name():
    return f"sum.{uuid.uuid4().hex}"


def _text(driver):
    return driver.find_element(By.ID, "value").text


def _shows(least):
    """Whether a tab shows that much: once there is a number."""
    return lambda it: _text(it).lstrip("-").isdigit() and int(_text(it)) >= least


def _state(driver):
    return driver.find_element(By.ID, "state").get_attribute("data-state")


def _release(stack, name, value):
    """Raise a sum of its own by one, and wait until that is released."""
    assert post(stack.url, name, {"add": 1}).status_code == 202
    url = f"{stack.url}/values/{name}"
    until(lambda: f'"value":{value},' in httpx.get(url).text, "a release", SLOW_S)


def _raise(stack):
    wanted = snapshot(stack.url, "counter")["value"] + 1
    assert post(stack.url, "counter", {"add": 1}).status_code == 202
    return wanted


class Tabs:
    """Tabs of one browser that show the page."""

    def __init__(self, driver, wait, url):
        self.driver, self._wait = driver, wait
        while len(driver.window_handles) < TABS:
            driver.switch_to.new_window("tab")
            driver.get(url)

    def __iter__(self):
        for tab in self.driver.window_handles:
            self.driver.switch_to.window(tab)
            yield tab

    def all_show(self, least):
        for _ in self:
            self._wait(self.driver, lambda it: _state(it) == "live", "live")
            self._wait(self.driver, _shows(least), "the update")

    def leader(self):
        """Its handle. There is one, and only one: the lock may just be passed on."""

        def leaders():
            found = [tab for tab in self if self.driver.execute_async_script(LEADS)]
            return found if len(found) == 1 else None

        return until(leaders, "one leader", SLOW_S)[0]


def test_eight_tabs_share_a_connection_and_outlive_who_has_it(
    stack, doors, open_window, wait, name
):
    """Over HTTP/1.1, where a browser has six. Leaders are closed, and hang."""
    _release(stack, name, 1)
    version = snapshot(stack.url, name)["version"]
    driver = open_window(f"{doors.direct}/")
    tabs = Tabs(driver, wait, f"{doors.direct}/")
    tabs.all_show(_raise(stack))
    protocol = "return performance.getEntriesByType('navigation')[0].nextHopProtocol"
    assert driver.execute_script(protocol) == "http/1.1"
    until(lambda: doors.in_flight() == 1, "one stream", SLOW_S)

    driver.switch_to.window(tabs.leader())
    driver.close()
    tabs.all_show(_raise(stack))
    until(lambda: doors.in_flight() == 1, "one stream", SLOW_S)

    hung = tabs.leader()
    others = [tab for tab in driver.window_handles if tab != hung]
    driver.switch_to.window(hung)
    driver.execute_script(HANG, f"/values/{name}?wait=120&after={version}")
    driver.switch_to.window(others[0])
    driver.execute_script("new BroadcastChannel('hang').postMessage('now')")
    until(lambda: doors.in_flight() >= 2, "a hung tab", SLOW_S)
    wanted = _raise(stack)
    for tab in others:
        driver.switch_to.window(tab)
        wait(driver, _shows(wanted), "the update without its leader")
    _release(stack, name, 2)  # it hangs no more
    tabs.all_show(_raise(stack))
    until(lambda: doors.in_flight() == 1, "one stream", SLOW_S)


def test_a_frozen_tab_comes_back_and_refetches_what_it_missed(stack, open_window, wait, name):
    _release(stack, name, 1)
    driver = open_window(f"{stack.url}/events/")
    driver.execute_async_script(WATCH, name, {})

    def past(it):
        heard = it.execute_script("return heard")
        return [text for _, text in heard["values"]], heard["past"]

    wait(driver, lambda it: past(it) == (["1"], ["1"]), "the first")
    driver.execute_cdp_cmd("Page.setWebLifecycleState", {"state": "frozen"})
    for value in (2, 3):
        _release(stack, name, value)
    driver.execute_cdp_cmd("Page.setWebLifecycleState", {"state": "active"})
    wait(driver, lambda it: past(it) == (["1", "3"], ["1", "2", "3"]), "what it missed")
    assert driver.execute_script("return heard.states") == ["connecting", "live", "stale", "live"]
    driver.execute_script("watcher.close()")
    assert driver.execute_script("return watcher.state") == "stale"


def test_polls_stand_in_for_a_stream_that_is_gathered(stack, doors, open_window, wait):
    with (
        pytest.raises(httpx.ReadTimeout),  # not even its head comes
        httpx.stream("GET", f"{doors.gathering}/values/counter?as=sse", timeout=2),
    ):
        pass
    driver = open_window(f"{doors.gathering}/")
    for _ in range(2):
        wanted = _raise(stack)
        wait(driver, _shows(wanted), "the update")
        assert _state(driver) == "live"


def test_polls_stand_in_for_streams_that_are_refused_until_they_are_not(
    stack, doors, open_window, wait
):
    doors.refuse.touch()
    driver = open_window(f"{doors.refusing}/")

    def polls_for_three_updates():
        """How many polls end for them."""
        count = (
            "return performance.getEntriesByType('resource')"
            ".filter(({ name }) => name.includes('wait=')).length"
        )
        before = driver.execute_script(count)
        for _ in range(3):
            wanted = _raise(stack)
            wait(driver, _shows(wanted), "the update")
        return driver.execute_script(count) - before

    wait(driver, lambda it: _state(it) == "live", "live")
    assert polls_for_three_updates() > 0
    doors.refuse.unlink()
    until(lambda: polls_for_three_updates() == 0, "a stream", SLOW_S)
    assert _state(driver) == "live"


def test_an_eventsource_of_the_browsers_own_gets_releases(stack, open_window, wait):
    driver = open_window(f"{stack.url}/values/counter")
    driver.execute_script("""
        window.seen = [];
        const source = new EventSource("/values/counter?as=sse");
        source.onmessage = ({ data, lastEventId }) => seen.push([lastEventId, JSON.parse(data)]);
    """)
    wait(driver, lambda it: it.execute_script("return seen.length"), "the newest release")
    wanted = _raise(stack)

    def last(it):
        return it.execute_script("return seen.at(-1)")

    wait(driver, lambda it: last(it)[1]["value"] >= wanted, "the update")
    version, data = last(driver)
    assert version == str(data["version"])


def test_the_example_works_from_a_page_of_another_site(stack, open_window, wait, tmp_path):
    page = (REPO / "examples" / "watch.html").read_text()
    assert "http://127.0.0.1:8080" in page
    (tmp_path / "watch.html").write_text(page.replace("http://127.0.0.1:8080", stack.url))
    driver = open_window(f"file://{tmp_path}/watch.html")
    wait(driver, lambda it: _text(it).lstrip("-").isdigit(), "the value")
    wanted = _raise(stack)
    wait(driver, _shows(wanted), "the update")
    assert driver.find_element(By.ID, "state").text == "live"


def test_its_small_parts_do_what_they_say(stack, open_window):
    driver = open_window(f"{stack.url}/events/")
    values = {1: 2**53 + 1, 2: '"value":7,"version":1', 3: [1]}
    releases = [{"value": value, "version": version} for version, value in values.items()]
    script = """
        const [history, done] = arguments;
        Promise.all(["backoff", "state", "snapshot"].map((name) => import(`/static/${name}.js`)))
          .then(([{ Backoff }, { stateOf }, { parseHistory }]) => {
            const waits = Array.from({ length: 200 }, () => {
              const backoff = new Backoff(100, 1_000);
              return Array.from({ length: 6 }, () => backoff.next());
            });
            const states = [0, 1, 2, 3, 4, 5, 6, 7].map((bits) => stateOf({
              hearing: Boolean(bits & 4), known: Boolean(bits & 2), online: Boolean(bits & 1),
            }));
            done([waits, states, parseHistory(history).map(({ text }) => text)]);
          });
    """
    history = json.dumps({"releases": releases})
    waits, states, past = driver.execute_async_script(script, history)
    for attempt, most in enumerate((100, 200, 400, 800, 1_000, 1_000)):
        tried = [each[attempt] for each in waits]
        # Full jitter: all of the range is used.
        assert 0 <= min(tried) < most / 4
        assert most * 3 / 4 < max(tried) <= most
    nothing = ["offline", "connecting", "offline", "stale"]
    assert states == nothing + ["live"] * 4
    assert past == [str(values[1]), values[2], "[1]"]


def test_a_server_that_says_when_to_come_back_is_left_alone_until_then(stack, open_window):
    driver = open_window(f"{stack.url}/events/")
    pauses = driver.execute_async_script("""
        const done = arguments[arguments.length - 1];
        import("/static/connection.js").then(({ Connection }) => {
          const asked = [];
          window.fetch = async () => {
            asked.push(performance.now());
            if (asked.length === 4) {
              connection.close();
              done(asked.slice(1).map((at, number) => at - asked[number]));
            }
            return new Response("", { status: 429, headers: { "Retry-After": "1" } });
          };
          const sink = { version: -1, take: () => false, reset: () => {}, hear: () => {} };
          const connection = new Connection("http://nobody.example/values/counter", sink);
        });
    """)
    assert len(pauses) == 3
    assert all(pause >= 1_000 for pause in pauses)


def test_timers_that_a_browser_holds_up_are_fired_by_what_comes_meanwhile(stack, open_window):
    driver = open_window(f"{stack.url}/events/")
    fired = driver.execute_async_script("""
        const done = arguments[arguments.length - 1];
        import("/static/timers.js").then(({ after, fireDue }) => {
          window.setTimeout = () => 0;
          const fired = [], start = performance.now();
          after(5, () => fired.push("due"));
          const cancel = after(5, () => fired.push("cancelled"));
          after(60_000, () => fired.push("not due"));
          cancel();
          fireDue();
          const early = fired.length;
          while (performance.now() < start + 10);
          fireDue();
          fireDue();
          done([early, fired]);
        });
    """)
    assert fired == [0, ["due"]]
