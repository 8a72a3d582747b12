"""Whom a page has asked, as Chromium logged it."""

from __future__ import annotations

import json
from urllib.parse import urlsplit


def hosts_asked(driver, url):
    """Hosts and ports that pages below `url` sent requests to since the last look."""
    asked = set()
    for line in driver.get_log("performance"):
        message = json.loads(line["message"])["message"]
        params = message["params"]
        # Chromium's own pages ask too.
        if message["method"] == "Network.requestWillBeSent" and params["documentURL"].startswith(
            url
        ):
            asked.add(urlsplit(params["request"]["url"]).netloc)
    return asked
