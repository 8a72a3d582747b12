"""The page of topics in a real browser, in front of the real stack."""

from __future__ import annotations

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from tests.e2e.relay_topic import RelayTopic


def _state(driver):
    return driver.find_element(By.ID, "state").get_attribute("data-state")


def _shown(driver):
    """What the page shows, newest first. In one call: the list changes."""
    return driver.execute_script(
        "return [...document.querySelectorAll('#events li:not([hidden]) pre')]"
        ".map(each => each.textContent)"
    )


@pytest.fixture
def topic(stack):
    return RelayTopic(stack, partitions=1).wait_relayed()


@pytest.fixture
def page(stack, open_window, wait, topic):
    """A window that watches the topic, picked from the list."""
    driver = open_window(f"{stack.url}/events/")
    Select(driver.find_element(By.ID, "topic")).select_by_visible_text(topic.name)
    wait(driver, lambda it: _state(it) == "live", "live")
    return driver


def put(topic, *texts):
    for text in texts:
        topic.put(text.encode())
    topic.flush()


def test_events_come_live_and_can_be_filtered_and_identified(page, wait, topic):
    put(topic, "one", "<b>two</b>", "three\nlines")
    wait(page, lambda it: _shown(it) == ["three\nlines", "<b>two</b>", "one"], "three events")
    field = page.find_element(By.ID, "filter")
    field.send_keys("TWO")
    wait(page, lambda it: _shown(it) == ["<b>two</b>"], "the filter")
    put(topic, "four", "again two")
    wait(page, lambda it: _shown(it) == ["again two", "<b>two</b>"], "the filter on new ones")
    code = page.find_element(By.CSS_SELECTOR, "#events li:not([hidden]) code")
    assert not code.is_displayed()
    page.find_element(By.ID, "ids").click()
    wait(page, lambda _: code.is_displayed() and code.text.endswith("/5"), "the id")
    complaints = [line for line in page.get_log("browser") if line["level"] != "INFO"]
    assert complaints == []


def test_a_paused_page_keeps_what_comes_and_goes_on(page, wait, topic):
    put(topic, "one")
    wait(page, lambda it: _shown(it) == ["one"], "the first")
    button = page.find_element(By.ID, "pause")
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    put(topic, "two", "three")
    count = page.find_element(By.ID, "count")
    wait(page, lambda _: count.text == "3 events, 2 of them wait", "what waits")
    assert _shown(page) == ["one"]
    button.click()
    wait(page, lambda it: _shown(it) == ["three", "two", "one"], "what waited")


def test_the_page_misses_nothing_while_pushpin_is_away(page, wait, topic, stack):
    put(topic, "before")
    wait(page, lambda it: _shown(it) == ["before"], "the first")
    stack.stop_part("pushpin-1")
    try:
        wait(page, lambda it: _state(it) == "stale", "stale")
        put(topic, "meanwhile")
    finally:
        stack.start_part("pushpin-1")
    wait(page, lambda it: _shown(it) == ["meanwhile", "before"], "what happened meanwhile")
    put(topic, "after")
    wait(page, lambda it: _shown(it) == ["after", "meanwhile", "before"], "what comes then")


def test_nothing_is_wider_than_a_telephone(page, wait, topic):
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 320, "height": 800, "deviceScaleFactor": 1, "mobile": True},
    )
    put(topic, "w" * 500)
    wait(page, lambda it: _shown(it) == ["w" * 500], "a long line")
    page.find_element(By.ID, "ids").click()
    assert page.execute_script("return document.documentElement.scrollWidth") <= 320


def test_an_id_counts_from_the_end_of_its_event_on(page):
    """A connection that is cut within an event resumes before it."""
    ids = page.execute_async_script("""
        const done = arguments[arguments.length - 1];
        import("/static/sse.js").then(({ Parser }) => {
          const parser = new Parser(), ids = [], events = [];
          const pieces = ["id: 1\\n\\n", "id: 2\\ndata: x\\n", "\\n", "id: 3\\n", "data: y\\n\\n"];
          for (const piece of pieces) {
            parser.feed(piece, (event) => events.push(event.id));
            ids.push(parser.lastId);
          }
          done([ids, events]);
        });
    """)
    assert ids == [["1", "1", "2", "2", "3"], ["2", "3"]]


def test_a_fragment_that_says_nothing_is_passed_over(stack, open_window, wait, topic):
    driver = open_window(f"{stack.url}/events/#%")
    wait(driver, lambda it: _state(it) == "live", "live")
