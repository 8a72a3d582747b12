"""Windows of Debian's Chromium, headless, each with a profile of its own."""

from __future__ import annotations

import tempfile

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

WAIT_S = 30


@pytest.fixture
def open_window():
    """open_window(url, *arguments): a browser that has loaded the page."""
    drivers = []
    profiles = []

    def open_(url, *arguments):
        profile = tempfile.TemporaryDirectory(prefix="holdfast-chromium-")
        profiles.append(profile)
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        for argument in (
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--window-size=1200,800",
            f"--user-data-dir={profile.name}",
            *arguments,
        ):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
        drivers.append(driver)
        driver.get(url)
        return driver

    try:
        yield open_
    finally:
        for driver in drivers:
            driver.quit()
        for profile in profiles:
            profile.cleanup()


@pytest.fixture
def wait():
    """wait(driver, condition, what): until condition(driver) is true."""

    def wait_(driver, condition, what):
        return WebDriverWait(driver, WAIT_S, poll_frequency=0.05).until(condition, what)

    return wait_
