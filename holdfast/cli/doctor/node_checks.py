"""The nodes, by HTTP: origins, publishers, edges, Pushpins."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any

import requests
from prometheus_client.parser import text_string_to_metric_families

from holdfast.cli.doctor.findings import Finding, Site, fail, ok, warn
from holdfast.formats import probe
from holdfast.version import VERSION
from publisher.addresses import Addresses
from publisher.push import bodies, control, publish

TIMEOUT_S = 5.0
CLOCK_S = 5.0  # HTTP's dates have seconds
FAR = "https://"
# A key that no object has: the purge is taken, and drops nothing.
KEY = "holdfast-doctor"
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def session() -> requests.Session:
    made = requests.Session()
    made.trust_env = False
    return made


def _each(
    kind: str, urls: Iterable[str], look: Callable[[str, str], Iterator[Finding]]
) -> Iterator[Finding]:
    """look(part, url) at each; one that can't be reached keeps the others from nothing."""
    for url in urls:
        part = f"{kind} {url}"
        try:
            yield from look(part, url)
        except requests.RequestException as error:
            yield fail(part, f"can't be asked: {error}", "start it, or correct its URL")


def _found(kind: str, setting: str, entries: Sequence[str]) -> tuple[list[Finding], Sequence[str]]:
    """The URLs that entries lead to; a finding where a name leads nowhere."""
    urls = Addresses(entries).urls
    if entries and not urls:
        return [fail(kind, "no address is found for it", f"correct {setting}, or DNS")], urls
    return [], urls


def check_origins(site: Site) -> Iterator[Finding]:
    faults, urls = _found("origin", "HOLDFAST_ORIGIN_URLS", site.settings.origin_urls)
    yield from faults
    with session() as http:
        yield from _each("origin", urls, lambda part, url: _origin(http, part, url))


def _origin(http: requests.Session, part: str, url: str) -> Iterator[Finding]:
    answer = http.get(f"{url}/health/ready", timeout=TIMEOUT_S)
    if answer.status_code == 200:
        yield ok(part, "is ready")
    else:
        yield fail(
            part,
            f"is not ready: {answer.status_code} {answer.text[:200]}",
            "look at Redis and the publishers first; then at the origin's log",
        )
    yield _date(part, answer)
    yield _version(part, samples(http, url))


def check_publishers(site: Site) -> Iterator[Finding]:
    leading: list[str] = []
    with session() as http:
        yield from _each(
            "publisher", site.publishers, lambda part, url: _publisher(http, part, url, leading)
        )
        yield from _each("relay", site.relays, lambda part, url: _loop(http, part, url)[0])
    if site.publishers and len(leading) != 1:
        yield warn(
            "publisher",
            f"{len(leading)} of {len(site.publishers)} publishers lead",
            "during a takeover wait 10 s and look again; then at their logs",
        )


def _loop(http: requests.Session, part: str, url: str) -> tuple[Iterator[Finding], Samples]:
    """What publishers and relays have in common, and their figures."""
    answer = http.get(f"{url}/health/ready", timeout=TIMEOUT_S)
    figures = samples(http, url)

    def findings() -> Iterator[Finding]:
        if answer.status_code != 200:
            yield fail(part, "its loop stands still", "look at its log; restart it")
        yield _version(part, figures)
        yield from _owed(part, figures)

    return findings(), figures


def _publisher(
    http: requests.Session, part: str, url: str, leading: list[str]
) -> Iterator[Finding]:
    findings, figures = _loop(http, part, url)
    yield from findings
    if figures.get(("holdfast_leads", ())):
        leading.append(url)
    refused = figures.get(("holdfast_partitions_refused", ()), 0.0)
    if refused:
        yield fail(
            part,
            f"refuses {refused:g} partitions",
            "decide: docs/operating.md, A partition is refused",
        )
    if not figures.get(("holdfast_settings_read", ()), 0.0):
        yield fail(
            part,
            "can't read what operators have set, and releases nothing",
            "its log says why; the topic settings has one partition and is compacted",
        )


def _owed(part: str, figures: Samples) -> Iterator[Finding]:
    owed = [
        dict(labels)["node"]
        for (name, labels), value in figures.items()
        if name == "holdfast_node_owed" and value
    ]
    for node in owed:
        yield fail(
            part,
            f"owes {node} what it missed",
            "see whether the node runs and answers; the publisher's log says why it failed",
        )
    if not owed:
        yield ok(part, "owes no node anything")


def check_edges(site: Site) -> Iterator[Finding]:
    faults, urls = _found("edge", "HOLDFAST_PURGE_URLS", site.settings.purge_urls)
    yield from faults
    with session() as http:
        yield from _each("edge", urls, lambda part, url: _edge(http, site, part, url))


def _edge(http: requests.Session, site: Site, part: str, url: str) -> Iterator[Finding]:
    service, token = site.settings.fastly_service_id, site.settings.optional("fastly_key") or ""
    status = _purge(http, url, service, token)
    if status == 200:
        yield ok(part, "takes purges")
    elif status in (401, 403):
        yield fail(
            part,
            f"refuses purges: {status}",
            "give it and the publishers the same HOLDFAST_FASTLY_KEY and service id",
        )
    else:
        yield fail(part, f"answers a purge by {status}", "look at its log")
    if url.startswith(FAR):
        return  # Fastly's API: the edge is elsewhere
    if _purge(http, url, service, "not the key") == 200:
        yield fail(part, "takes purges without the key", "see fastly/purge.vcl")
    name = site.values.default.name
    answer = http.get(f"{url}/values/{name}", timeout=TIMEOUT_S)
    if answer.status_code == 200:
        yield ok(part, "has a value to show")
    else:
        yield fail(
            part,
            f"answers {answer.status_code} for {name}",
            "look at the origins; Varnish asks only those that are ready",
        )


def _purge(http: requests.Session, url: str, service: str, token: str) -> int:
    headers = {"Fastly-Key": token, "Fastly-Soft-Purge": "1", "Surrogate-Key": KEY}
    where = f"{url}/service/{service}/purge"
    return http.post(where, headers=headers, timeout=TIMEOUT_S).status_code


def check_exporters(site: Site) -> Iterator[Finding]:
    setting = "HOLDFAST_EDGE_METRICS_URLS"
    faults, urls = _found("exporter", setting, site.settings.edge_metrics_urls)
    yield from faults
    with session() as http:
        yield from _each("exporter", urls, lambda part, url: _exporter(http, part, url))


def _exporter(http: requests.Session, part: str, url: str) -> Iterator[Finding]:
    if samples(http, url).get(("varnish_up", ())) == 1:
        yield ok(part, "its Varnish is up")
    else:
        yield fail(part, "its Varnish is down", "start it; its log says why it ended")


def check_pushpins(site: Site) -> Iterator[Finding]:
    faults, urls = _found("pushpin", "HOLDFAST_GRIP_URL", site.settings.grip_url)
    yield from faults
    token = site.settings.optional("fastly_key")
    # The URLs themselves may hold keys.
    controls = {
        config["control_uri"].rstrip("/"): config
        for config in (control(url, token) for url in urls)
    }
    with session() as http:
        yield from _each(
            "pushpin", controls, lambda part, url: _pushpin(http, controls[url], part, url)
        )


def _pushpin(
    http: requests.Session, config: Mapping[str, Any], part: str, url: str
) -> Iterator[Finding]:
    for body in bodies([probe()]):
        publish(http, url, config, body, TIMEOUT_S)
    yield ok(part, "takes items")


def samples(http: requests.Session, url: str) -> Samples:
    """What /metrics says, by name and labels."""
    answer = http.get(f"{url}/metrics", timeout=TIMEOUT_S)
    answer.raise_for_status()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def _version(part: str, figures: Samples) -> Finding:
    for name, labels in figures:
        if name == "holdfast_build_info":
            version = dict(labels)["version"]
            if version == VERSION:
                return ok(part, f"is Holdfast {version}")
            return warn(part, f"is Holdfast {version}, this command {VERSION}", "end the upgrade")
    return warn(part, "does not say which Holdfast it is", "upgrade it")


def _date(part: str, answer: requests.Response) -> Finding:
    try:
        skew_s = abs(parsedate_to_datetime(answer.headers["Date"]).timestamp() - time.time())
    except (KeyError, ValueError, TypeError):
        return ok(part, "does not tell its time")
    detail = f"its clock is within {max(1, round(skew_s))} s of the one here"
    return warn(part, detail, "run NTP on its machine") if skew_s > CLOCK_S else ok(part, detail)
