"""The live counter page in a real browser, in front of the real stack."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.browser.asked import hosts_asked
from tests.e2e.viewers import post, snapshot, until

BEYOND_DOUBLES = 2**53 + 1


def _text(driver):
    return driver.find_element(By.ID, "value").text


def _state(driver):
    return driver.find_element(By.ID, "state").get_attribute("data-state")


@pytest.fixture
def page(stack, open_window, wait):
    """page(): a window that shows the newest value, live."""

    def page_(*arguments):
        driver = open_window(f"{stack.url}/", *arguments)
        wait(driver, lambda it: _state(it) == "live" and _text(it).lstrip("-").isdigit(), "live")
        return driver

    return page_


def test_a_click_in_one_window_shows_in_both(page, wait, stack):
    first, second = page(), page()
    before = int(_text(first))
    first.find_element(By.ID, "add").click()
    for driver in (first, second):
        wait(driver, lambda it: int(_text(it)) == before + 1, "the click")
    wait(first, lambda it: it.find_element(By.ID, "sent").text == "counted", "what became of it")
    assert snapshot(stack.url, "counter")["value"] == before + 1


def test_the_page_recovers_by_itself_when_its_stream_breaks_and_is_refused(page, wait, stack):
    driver = page()
    driver.execute_script("window.mark = 1")
    stack.stop_part("pushpin-1")
    try:
        # nginx answers 502 meanwhile: an EventSource would give up for good.
        wait(driver, lambda it: _state(it) == "stale", "stale")
        before = int(_text(driver))
        assert post(stack.url, "counter", {"add": 1}).status_code == 202
    finally:
        stack.start_part("pushpin-1")
    wait(driver, lambda it: _state(it) == "live", "live again")
    wait(driver, lambda it: int(_text(it)) == before + 1, "what happened meanwhile")
    assert driver.execute_script("return window.mark") == 1


def test_every_digit_of_a_64_bit_sum_is_shown(page, wait, stack):
    driver = page()
    step = BEYOND_DOUBLES - snapshot(stack.url, "counter")["value"]
    post(stack.url, "counter", {"add": step})
    try:
        wait(driver, lambda it: _text(it) == str(BEYOND_DOUBLES), "the exact number")
    finally:
        post(stack.url, "counter", {"add": -step})
    wait(driver, lambda it: int(_text(it)) == BEYOND_DOUBLES - step, "the number of before")


def test_a_click_while_the_origin_is_away_counts_once_when_it_is_back(page, wait, stack):
    driver = page()
    before = int(_text(driver))
    stack.stop_part("origin-1")
    try:
        driver.find_element(By.ID, "add").click()
        until(lambda: post(stack.url, "counter", {"add": 1}).status_code == 503, "a refusal")
    finally:
        stack.start_part("origin-1")
    wait(driver, lambda it: it.find_element(By.ID, "sent").text == "counted", "what became of it")
    wait(driver, lambda it: int(_text(it)) == before + 1, "the click")


def test_the_button_works_by_keyboard_and_everything_has_a_name(page, wait):
    driver = page()
    before = int(_text(driver))
    body = driver.find_element(By.TAG_NAME, "body")
    body.send_keys(Keys.TAB)
    button = driver.switch_to.active_element
    assert (button.aria_role, button.accessible_name) == ("button", "Add 1")
    button.send_keys(Keys.SPACE)
    wait(driver, lambda it: int(_text(it)) == before + 1, "space")
    button.send_keys(Keys.ENTER)
    wait(driver, lambda it: int(_text(it)) == before + 2, "enter")
    assert driver.find_element(By.ID, "value").accessible_name == "Current value of counter"
    assert driver.find_element(By.ID, "chart").accessible_name.startswith("Chart: ")
    # A screen reader that read every release would never be silent.
    assert driver.find_element(By.ID, "value").get_attribute("aria-live") == "off"


@pytest.mark.parametrize("width", [320, 1200])
def test_nothing_is_wider_than_the_window(page, width):
    driver = page()
    # Chromium's windows have a smallest width; its emulation has not.
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width


def test_the_page_asks_nobody_else_and_breaks_no_rule_of_its_own(page, stack):
    driver = page()
    complaints = [line for line in driver.get_log("browser") if line["level"] != "INFO"]
    assert complaints == []
    assert hosts_asked(driver, stack.url) == {urlsplit(stack.url).netloc}
