"""The operators' console in a real browser, on the real stack; accessibility of all pages."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx
import pytest
import requests
from axe_core_python.selenium import Axe
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from holdfast import console_stream
from publisher.push import bodies
from tests.browser.asked import hosts_asked
from tests.e2e.viewers import post, snapshot, until

VALUE = "values/visits"


def _find(driver, id):
    return driver.find_element(By.ID, id)


def _state(driver):
    return _find(driver, "state").get_attribute("data-state")


@pytest.fixture
def open_console(stack, open_window, wait):
    """open_console(*arguments): a window of somebody who has logged in, and sees figures."""

    def open_(*arguments):
        driver = open_window(f"{stack.url}/console/", *arguments)
        assert driver.current_url == f"{stack.url}/console/login"
        _find(driver, "token").send_keys(stack.operator_token, Keys.ENTER)
        wait(driver, lambda it: it.current_url == f"{stack.url}/console/", "the console")
        wait(driver, lambda it: _state(it) == "live", "figures")
        return driver

    return open_


@pytest.fixture
def visits(stack):
    """Takes back what was set for `visits`."""
    yield
    stack.desk.call("DELETE", f"{VALUE}/rate", etag="*")
    stack.desk.call("POST", f"{VALUE}/resume")


@contextmanager
def updates(stack, name):
    """Some 50 updates a second of a value, while it lasts."""
    stopping = threading.Event()

    def run():
        while not stopping.wait(0.02):
            post(stack.url, name, {"add": 1})

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


def _row(driver, name):
    """What the table says of a value, by column."""
    return driver.execute_script(
        """for (const row of document.querySelectorAll("#values tbody tr")) {
             const cells = [...row.children].map((cell) => [cell.dataset.label, cell.textContent]);
             if (cells[0][1] === arguments[0]) return Object.fromEntries(cells);
           } return {};""",
        name,
    )


def _releases(driver):
    """Of visits, per second."""
    return float(_row(driver, "visits")["Releases"].removesuffix("/s"))


def _pick(driver, wait, name):
    wait(driver, lambda it: _row(it, name), f"{name} in the table")
    driver.execute_script(
        """for (const button of document.querySelectorAll("#values th button")) {
             if (button.textContent === arguments[0]) button.click();
           }""",
        name,
    )
    wait(driver, lambda it: _find(it, "tuned-name").text == name, "the value picked")
    wait(driver, lambda it: _find(it, "rate-exact").get_attribute("value"), "its rate")


def test_the_slider_moves_releases_and_what_is_predicted_stands_beside_what_is_measured(
    stack, open_console, wait, visits
):
    with updates(stack, "visits"):
        driver = open_console()
        _pick(driver, wait, "visits")
        wait(driver, lambda it: 0 < _releases(it) < 1.5, "about one a second")
        # By keyboard: a page is a tenth of the slider.
        slider = driver.switch_to.active_element
        assert slider.get_attribute("id") == "rate", "where to go on from a value's name"
        slider.send_keys(Keys.PAGE_UP * 5)
        rate = float(_find(driver, "rate-exact").get_attribute("value"))
        assert rate > 5
        wait(
            driver, lambda it: _find(it, "said").text == f"set: rate {rate:g}", "what became of it"
        )
        wait(
            driver,
            lambda it: _releases(it) > 1.5,
            "more releases",
        )
        wait(driver, lambda it: _find(it, "model-rate").text == f"{rate:g}/s", "the prediction")
        predicted = driver.find_element(By.CSS_SELECTOR, "#model tbody td").text
        assert float(predicted.removesuffix("/s")) > 5
        assert stack.desk.call("GET", VALUE).body["rules"]["rate"] == rate
    assert "operator" in driver.execute_script("return document.getElementById('audit').innerText")
    _find(driver, "reset").click()
    wait(driver, lambda it: _find(it, "said").text == "taken back", "the rate taken back")
    assert stack.desk.call("GET", f"{VALUE}/rate").body["set"] is None
    assert [line for line in driver.get_log("browser") if line["level"] == "SEVERE"] == []


def test_pause_resume_and_purge(stack, open_console, wait, visits):
    driver = open_console()
    _pick(driver, wait, "visits")
    _find(driver, "pause").click()
    wait(driver, lambda it: _row(it, "visits")["State"] == "paused by operator", "the pause")
    wait(driver, lambda it: "paused: visits" in _find(it, "alerts").text, "the alert")
    held = stack.desk.call("GET", VALUE).body["released"]
    post(stack.url, "visits", {"add": 1})
    until(lambda: stack.desk.call("GET", VALUE).body["dirty"], "an update held back")
    assert stack.desk.call("GET", VALUE).body["released"] == held
    wait(driver, lambda it: _find(it, "resume").is_enabled(), "a way on")
    _find(driver, "resume").click()
    wait(driver, lambda it: _row(it, "visits")["State"] == "up to date", "the release")
    _find(driver, "purge").click()
    wait(driver, lambda it: "purged" in _find(it, "said").text, "the purge")
    newest = stack.desk.call("GET", "audit?limit=1").body["changes"][0]
    assert (newest["key"], newest["who"]) == ("purge:visits", "operator")
    wait(driver, lambda it: it.find_elements(By.CSS_SELECTOR, "#charts canvas"), "the charts")
    assert hosts_asked(driver, stack.url) == {urlsplit(stack.url).netloc}


def test_a_change_by_somebody_else_is_told_and_not_overwritten(stack, open_console, wait, visits):
    driver = open_console()
    _pick(driver, wait, "visits")
    exact = _find(driver, "rate-exact")
    exact.click()
    stack.desk.call("PUT", f"{VALUE}/rate", {"rate": 7}, etag="*")
    exact.clear()
    exact.send_keys("3", Keys.TAB)
    wait(driver, lambda it: "changed meanwhile" in _find(it, "said").text, "the conflict")
    wait(driver, lambda it: _find(it, "rate-exact").get_attribute("value") == "7", "the others'")
    assert stack.desk.call("GET", f"{VALUE}/rate").body["set"] == {"rate": 7}


@contextmanager
def _stream(stack, driver):
    """The lines of another stream of the same session."""
    cookie = driver.get_cookie("holdfast_console")
    jar = {cookie["name"]: cookie["value"]}
    url = f"{stack.url}/console/stream"
    with requests.get(url, cookies=jar, stream=True, timeout=30) as answer:
        yield answer.iter_lines()


def test_a_dead_edge_node_is_told_of_in_words(stack, open_console, wait):
    driver = open_console()
    # Pushpin asks once more a second after it first subscribed to a channel; a stream for which it
    # can't do so is silent until it can.
    with _stream(stack, driver) as lines:
        events = (line for line in lines if line)
        assert len([next(events) for _ in range(4)]) == 4
    stack.stop_part("varnish-1")
    try:
        # The page came through that node: the stream goes on all the same, and so do updates that
        # need no edge.
        stack.produce("updates", '{"add":1}', key="visits")
        wait(
            driver,
            lambda it: "Edge 1 has been owed a purge for" in _find(it, "alerts").text,
            "the alert",
        )
    finally:
        stack.start_part("varnish-1")
    wait(
        driver,
        lambda it: (
            "Edge 1" not in _find(it, "alerts").text or "is back" in _find(it, "alerts").text
        ),
        "its end",
    )
    until(lambda: snapshot(stack.url, "visits"), "the edge at work again")


def test_who_logs_out_sees_nothing_any_more_not_even_by_the_stream_that_was_open(
    stack, open_console, wait
):
    driver = open_console()
    cookie = driver.get_cookie("holdfast_console")
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["secure"]) == (True, "Strict", False)
    with _stream(stack, driver) as lines:
        assert next(lines).startswith(b"data: ")
        _find(driver, "logout").click()
        wait(driver, lambda it: it.current_url.endswith("/console/login"), "the login")
        # What the leading publisher does every 30 s.
        for url in stack.settings()["HOLDFAST_GRIP_URL"].split(","):
            for body in bodies([console_stream.renewal()]):
                requests.post(f"{url}/publish/", data=body, timeout=10).raise_for_status()
        assert all(line[:6] in (b"", b":", b"data: ") for line in lines), "until it ends"
    driver.get(f"{stack.url}/console/")
    assert driver.current_url.endswith("/console/login")


def test_nothing_of_the_console_is_shared_or_cached(stack):
    with requests.Session() as browser:
        browser.post(f"{stack.url}/console/login", data={"token": stack.operator_token}, timeout=10)
        assert "csrf-token" in browser.get(f"{stack.url}/console/", timeout=10).text
        for path in ("/console/", "/console/stream", "/api/overview"):
            answer = browser.get(f"{stack.url}{path}", timeout=10, stream=True)
            assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
            answer.close()
    for path, status in (("/console/", 303), ("/console/stream", 401), ("/api/overview", 401)):
        answer = requests.get(f"{stack.url}{path}", timeout=10, allow_redirects=False)
        assert answer.status_code == status
    assert requests.get(f"{stack.url}/console/stream?ticket=x", timeout=10).status_code == 404


def test_over_tls_the_cookie_never_travels_without(stack, tls_door):
    with httpx.Client(verify=tls_door.context, timeout=30) as client:
        token = {"token": stack.operator_token}
        answer = client.post(f"{tls_door.url}/console/login", data=token)
        assert "; Secure;" in answer.headers["Set-Cookie"]
        assert client.get(f"{tls_door.url}/console/").status_code == 200


def _faults(driver):
    """What the checker calls serious or critical, by day and by night."""
    found = []
    for scheme in ("light", "dark"):
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        found += [
            (scheme, fault["id"], [node["target"] for node in fault["nodes"]])
            for fault in Axe().run(driver)["violations"]
            if fault["impact"] in ("serious", "critical")
        ]
    return found


def test_a_checker_of_accessibility_finds_no_serious_fault_on_any_page(stack, open_window, wait):
    driver = open_window(f"{stack.url}/console/login")
    assert _faults(driver) == []
    _find(driver, "token").send_keys("wrong-wrong-wrong-wrong", Keys.ENTER)
    wait(driver, lambda it: "No operator" in _find(it, "message").text, "the refusal")
    assert _faults(driver) == []
    _find(driver, "token").send_keys(stack.operator_token, Keys.ENTER)
    wait(
        driver, lambda it: it.current_url.endswith("/console/") and _state(it) == "live", "figures"
    )
    wait(driver, lambda it: it.find_elements(By.CSS_SELECTOR, "#charts canvas"), "the charts")
    for width in (1280, 360):
        driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500},
        )
        assert _faults(driver) == []
        assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    for path in ("/", "/events/"):
        driver.get(f"{stack.url}{path}")
        wait(driver, lambda it: _state(it) == "live", "live")
        assert _faults(driver) == []


def test_the_checker_does_find_faults(stack, open_window):
    driver = open_window(f"{stack.url}/console/login")
    driver.execute_script("document.querySelector('label').remove()")
    assert ("light", "label", [["#token"]]) in _faults(driver)
