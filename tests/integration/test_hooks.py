"""The webhooks' process, all but its start, on a real Redis and with real receivers."""

from __future__ import annotations

import ssl
import threading
import time

import pytest

from holdfast.errors import UnavailableError
from holdfast.hook_guard import Guard
from holdfast.hook_states import HookStates
from holdfast.hooks import hook_of
from holdfast.operator_settings import Setting
from holdfast.release_feed import ReleaseFeed
from holdfast.settings_mirror import SettingsMirror
from holdfast.state import Partition, State
from holdfast.values import parse
from publisher.hooks import courier as courier_module
from publisher.hooks import lease as lease_module
from publisher.hooks.courier import Courier
from publisher.hooks.lease import Lease
from publisher.hooks.loop import Hooks
from publisher.hooks.sender import Sender
from publisher.hooks.worker import Worker
from tests.e2e.viewers import until
from tests.integration.folds import adds
from tests.receiver import SECRET, Receiver

TRUST = ssl.create_default_context()
HOME = Partition("updates", 0)
VALUES = parse("""
[values.counter]
reduce = "sum"
default = true
[values."visits.*"]
reduce = "sum"
""")


class Site:
    """Releases values and sets hooks, as publishers and operators do."""

    def __init__(self, client):
        self.redis = client
        self.state = State(client)
        self.mirror = SettingsMirror(client)
        self.states = HookStates(client)
        self.settings: dict[str, Setting] = {}
        self.position = 0
        self.offset = 0
        self.processes: list[Process] = []
        self.state.heartbeat(HOME, 0, 0, 1, True, "")
        self.mirror.write("id", 0, [])

    def release(self, name="counter", *, announced=True):
        """One release more of the value; its version."""
        self.state.apply(HOME, 0, 0, [adds(name, self.offset, 1)])
        self.offset += 1
        self.redis.delete(f"bucket:{name}")  # another token
        (result,) = self.state.release(HOME, [VALUES.rules(name)])
        version = result.snapshot.version
        if announced:
            self.state.announced(HOME, [(name, version)])
        return version

    def hook(self, receiver, *, id="0123456789abcdef", values="*"):
        """Set a hook, or write it anew."""
        thing = {"url": receiver.url, "values": values, "secret": SECRET}
        self.settings[id] = Setting(f"hook:{id}", self.position, "alice", 0, thing)
        self.tell()
        return id

    def tell(self):
        self.position += 1
        self.mirror.write("id", self.position, self.settings.values())

    def process(self, slot="hooks-1", allow=("127.0.0.0/8",)):
        process = Process(self.redis, slot, allow)
        self.processes.append(process)
        return process

    def of(self, id="0123456789abcdef"):
        hook = hook_of(self.settings[id])
        return self.states.read([hook])[id]


class Process:
    """What `python -m publisher.hooks` runs, on a thread."""

    def __init__(self, client, slot, allow):
        states, guard = HookStates(client), Guard(allow)
        self.lease = lease = Lease(states, slot)
        feed = ReleaseFeed(client, State(client), VALUES)

        def hire(hook, state, delivered):
            return Worker(
                Courier(
                    hook,
                    state,
                    delivered,
                    feed,
                    states,
                    Sender(hook.target, guard, TRUST).post,
                    lease.left_s,
                    3600,
                    time.monotonic,
                    time.time,
                    time.sleep,
                )
            )

        self.hooks = Hooks(SettingsMirror(client), feed, states, lease, hire)
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.hooks.run, args=(self.stopping,), daemon=True)
        self.thread.start()

    def stop(self):
        self.stopping.set()
        self.thread.join(30)
        self.hooks.leave()


@pytest.fixture
def site(client, monkeypatch):
    monkeypatch.setattr(courier_module, "FIRST_PAUSE_S", 0.05)
    made = Site(client)
    yield made
    for process in made.processes:
        if not process.stopping.is_set():
            process.stop()


@pytest.fixture
def receiver():
    with Receiver() as receiver:
        yield receiver


def got(receiver, name, version):
    until(lambda: version in receiver.versions(name), f"version {version} of {name}")


def test_a_new_hook_gets_what_there_is_and_then_each_release(site, receiver):
    first = site.release()
    site.release("visits.a")
    site.hook(receiver, values="c*")
    site.process()
    got(receiver, "counter", first)
    versions = [first]
    for _ in range(5):
        versions.append(site.release())
        got(receiver, "counter", versions[-1])
    assert receiver.versions("counter") == versions
    assert receiver.versions("visits.a") == []
    assert receiver.failures == []
    assert site.of().word == "live"
    assert site.of().delivered_at_ms > 0


def test_a_hook_that_comes_later_gets_everything_too(site, receiver):
    site.process()
    with Receiver() as other:
        site.hook(receiver)
        first = site.release()
        got(receiver, "counter", first)
        site.hook(other, id="fedcba9876543210")
        got(other, "counter", first)
        second = site.release()
        for each in (receiver, other):
            got(each, "counter", second)
            assert each.versions("counter") == [first, second]
        # Each hook has ids of its own.
        assert not {r["webhook-id"] for r in receiver.requests} & {
            r["webhook-id"] for r in other.requests
        }


def test_who_hangs_or_fails_or_redirects_keeps_nobody_waiting(site, receiver):
    with (
        Receiver() as hanging,
        Receiver() as failing,
        Receiver() as redirecting,
        Receiver() as prey,
    ):
        hanging.go_on.clear()
        failing.status = 500
        redirecting.status, redirecting.headers = 302, {"Location": prey.url}
        for number, each in enumerate((hanging, failing, redirecting, receiver)):
            site.hook(each, id=f"{number:016x}")
        site.process()
        for _ in range(10):
            last = site.release()
            began = time.monotonic()
            got(receiver, "counter", last)
            # Far from the 8 s that a request may take.
            assert time.monotonic() - began < 6
        receiver.assert_increasing("counter")
        until(lambda: len(failing.requests) >= 3, "retries")
        until(lambda: len(redirecting.requests) >= 3, "retries")
        assert prey.requests == []
        assert len(hanging.requests) == 1
        until(lambda: site.of(f"{1:016x}").failures >= 3, "failures noted")
        assert site.of(f"{1:016x}").last_status == 500
        assert "redirects are not followed" in site.of(f"{2:016x}").last_error
        # The newest, and only that, once they recover.
        hanging.go_on.set()
        failing.status = 200
        for each in (hanging, failing):
            got(each, "counter", last)
            each.assert_increasing("counter")
        assert failing.versions("counter") == [last]
        assert len(hanging.versions("counter")) == 2


def test_without_permission_nothing_goes_to_loopback(site, receiver):
    site.hook(receiver)
    site.process(allow=())
    site.release()
    until(lambda: site.of().failures >= 2, "refusals noted")
    assert "127.0.0.1 is no public address" in site.of().last_error
    assert receiver.requests == []


def test_gone_disables_until_it_is_enabled_again(site, receiver):
    site.hook(receiver)
    site.process()
    receiver.status = 410
    site.release()
    until(lambda: site.of().disabled, "the hook disabled")
    assert site.of().reason == "answered 410: gone"
    receiver.status = 200
    last = site.release()
    asked = len(receiver.requests)
    assert asked == 1
    site.hook(receiver)
    got(receiver, "counter", last)
    assert site.of().word == "live"


def test_what_was_owed_at_a_restart_is_found_again_and_nothing_else(site, receiver):
    site.hook(receiver)
    process = site.process()
    done = site.release()
    other = site.release("visits.a")
    got(receiver, "counter", done)
    got(receiver, "visits.a", other)
    until(lambda: site.states.delivered("0123456789abcdef").get("visits.a") == other, "its note")
    receiver.status = 500
    owed = site.release()
    until(lambda: site.of().failures >= 1, "a failure")
    process.stop()
    receiver.status = 200
    site.process()
    got(receiver, "counter", owed)
    # The same request as before, so that who has seen it knows it.
    assert len({r["webhook-id"] for r in receiver.requests}) == 3
    assert receiver.versions("visits.a") == [other]
    assert receiver.versions("counter") == [done, owed]


def test_after_a_wipe_of_redis_hooks_go_on(site, receiver):
    site.hook(receiver)
    site.process()
    got(receiver, "counter", site.release())
    site.redis.flushall()
    site.offset = 0
    site.state.heartbeat(HOME, 0, 0, 1, True, "")
    # Before a publisher has told Redis of the settings, and after it.
    got(receiver, "counter", site.release())
    site.mirror.write("id", site.position, site.settings.values())
    got(receiver, "counter", site.release())
    receiver.assert_increasing("counter")


def test_a_deleted_hook_gets_nothing_more_and_leaves_nothing(site, receiver):
    site.hook(receiver)
    site.process()
    got(receiver, "counter", site.release())
    site.settings.clear()
    site.tell()
    until(lambda: not site.redis.keys("hook*:0123456789abcdef"), "nothing kept of it")
    site.release()
    assert len(receiver.requests) == 1


def test_of_two_processes_one_delivers_and_the_other_takes_over(site, receiver, monkeypatch):
    monkeypatch.setattr(lease_module, "RENEW_S", 0.1)
    site.hook(receiver)
    first = site.process("hooks-1")
    until(lambda: first.lease.left_s() > 0, "a lease")
    second = site.process("hooks-2")
    versions = [site.release()]
    got(receiver, "counter", versions[0])
    assert second.lease.left_s() == 0
    first.stop()  # which gives the lease up
    until(lambda: second.lease.left_s() > 0, "the other's lease")
    versions.append(site.release())
    got(receiver, "counter", versions[1])
    assert receiver.versions("counter") == versions


def test_who_gets_the_lease_back_waits_for_the_request_that_is_under_way(
    site, receiver, monkeypatch
):
    monkeypatch.setattr(lease_module, "RENEW_S", 0.05)
    site.hook(receiver)
    process = site.process()
    receiver.go_on.clear()
    version = site.release()
    until(lambda: receiver.requests, "a request")
    site.redis.set("hook_lease", "another")
    until(lambda: process.lease.left_s() == 0 and not process.hooks._workers, "the loss")
    site.redis.delete("hook_lease")
    until(lambda: process.lease.left_s() > 0, "the lease")
    for _ in range(3):
        stepped_at = process.hooks.stepped_at
        until(lambda at=stepped_at: process.hooks.stepped_at > at, "a turn")
    assert len(receiver.requests) == 1
    receiver.go_on.set()
    until(lambda: process.hooks._workers, "the hook's worker")
    newer = site.release()
    got(receiver, "counter", newer)
    assert receiver.versions("counter") == [version, newer]


def test_a_lease_ends_here_before_it_ends_there(site, monkeypatch):
    now = [100.0]
    lease, other = (Lease(site.states, slot, lambda: now[0]) for slot in ("a", "b"))
    assert lease.renew()
    assert not other.renew()
    assert lease.left_s() == lease_module.LEASE_S
    assert site.redis.pttl("hook_lease") <= lease_module.LEASE_S * 1000
    now[0] += 0.5
    assert lease.left_s() == lease_module.LEASE_S - 0.5
    # One that comes back under the same name need not wait for itself.
    assert Lease(site.states, "a", lambda: now[0]).renew()
    site.redis.delete("hook_lease")
    now[0] += lease_module.RENEW_S
    assert other.renew()
    now[0] += lease_module.RENEW_S
    assert not lease.renew()
    assert lease.left_s() == 0


def test_the_feed_tells_each_release_once(site):
    feed = ReleaseFeed(site.redis, site.state, VALUES)
    site.release("visits.a")
    assert feed.look() is None
    assert feed.everything() == ["visits.a"]
    feed.look()
    site.release("counter")
    site.release("visits.b")
    assert feed.look() == ["counter", "visits.b"]
    assert feed.look() == []
    site.release("counter")
    assert feed.look() == ["counter"]


def test_the_feed_says_so_when_it_has_lost_its_place(site, monkeypatch):
    feed = ReleaseFeed(site.redis, site.state, VALUES)
    feed.look()
    assert feed.look() == []
    feed._clock_ms += 1e9  # as if Redis's clock had been set back
    assert feed.look() is None
    assert feed.look() == []
    monkeypatch.setattr(feed, "_range", _away)
    with pytest.raises(UnavailableError):
        feed.look()
    monkeypatch.undo()
    assert feed.look() is None


def _away(_from_ms):
    raise UnavailableError("gone")
