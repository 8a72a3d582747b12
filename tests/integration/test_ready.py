"""heartbeat.lua and view.lua: a Redis that lost something is not trusted until it is replayed."""

from __future__ import annotations

import pytest
import redis

from holdfast.errors import UnavailableError
from holdfast.snapshots import Snapshot
from holdfast.state import Partition, Released, State
from holdfast.values import Rules
from tests.integration.folds import adds

COUNTER = Rules("counter", "sum", rate=1000.0)
PARTITIONS = 2


def vouch(state, number, position, *, caught_up=True, log_start=0, run_id=""):
    """The heartbeat of one partition's owner; where it has to start again, if it has to."""
    partition = Partition("updates", number)
    _, rewind = state.heartbeat(partition, log_start, position, PARTITIONS, caught_up, run_id)
    return rewind


def ready(state, rules=COUNTER):
    return state.view(rules).ready


def test_a_new_redis_is_not_ready(state):
    view = state.view(COUNTER)
    assert (view.ready, view.snapshot, view.history) == (False, None, ())


def test_a_view_is_ready_once_every_partition_has_been_vouched_for(state):
    assert vouch(state, 0, 0) is None
    assert not ready(state)
    assert vouch(state, 1, 0) is None
    assert ready(state)


def test_a_partition_that_is_still_replayed_is_not_vouched_for(state):
    vouch(state, 0, 0)
    vouch(state, 1, 0, caught_up=False)
    assert not ready(state)


def test_topics_are_vouched_for_apart(state):
    vouch(state, 0, 0)
    vouch(state, 1, 0)
    assert not ready(state, Rules("price.BTC", "latest", topic="ticks"))


def test_a_heartbeat_tells_where_to_rewind_to_and_withdraws_what_was_vouched(client, state):
    for number in range(PARTITIONS):
        state.advance(Partition("updates", number), 0, 0, 10)
        vouch(state, number, 10)
    assert ready(state)
    client.set("offset:updates:1", 4)
    assert vouch(state, 1, 10) == 4
    assert not ready(state)


def test_a_heartbeat_of_a_redis_that_knows_nothing_leads_to_the_start_of_the_log(state):
    assert vouch(state, 0, 10, log_start=3) == 3
    assert vouch(state, 0, 3, log_start=3) is None


def test_a_heartbeat_of_a_publisher_that_lags_behind_is_no_rewind(state):
    state.advance(Partition("updates", 0), 0, 0, 10)
    assert vouch(state, 0, 7) is None


def test_a_view_holds_the_newest_release_and_the_history_only_when_asked_for(state, partition):
    state.apply(partition, 0, 0, [adds("counter", 0, 5)])
    (result,) = state.release(partition, [COUNTER])
    assert isinstance(result, Released)
    assert isinstance(result.snapshot, Snapshot)
    assert state.view(COUNTER).snapshot == result.snapshot
    assert state.view(COUNTER).history == ()
    assert state.view(COUNTER, history=True).history == (result.snapshot,)


def test_an_applied_but_unreleased_value_has_no_snapshot(state, partition):
    state.apply(partition, 0, 0, [adds("counter", 0, 5)])
    assert state.view(COUNTER).snapshot is None


def test_another_run_of_redis_is_not_vouched_for_before_the_publisher_has_started_again(
    client, state
):
    """It may have lost a release, although it knows every offset."""
    state.advance(Partition("updates", 0), 0, 0, 10)
    run_id, rewind = state.heartbeat(Partition("updates", 0), 0, 10, 1, True, "")
    assert rewind is None
    assert state.heartbeat(Partition("updates", 0), 0, 10, 1, True, run_id) == (run_id, None)
    assert ready(state)
    assert state.heartbeat(Partition("updates", 0), 0, 10, 1, True, "f" * 40) == (run_id, 10)
    assert not ready(state)


# -- a Redis that dies and comes back


@pytest.fixture
def own_state(own_redis):
    with own_redis.connect() as client:
        yield State(client)


def count(state, partition, first, number):
    """What a publisher does for one batch of `number` times +1."""
    ((word, _),) = state.apply(partition, 0, first, [adds("counter", first, *[1] * number)])
    rewind = state.advance(partition, 0, first, first + number)
    return word if rewind is None else rewind


def vouch_all(state, position):
    return [vouch(state, 0, position), vouch(state, 1, 0)]


def test_a_redis_that_was_killed_and_lost_nothing_is_ready_when_vouched_for_again(
    own_redis, own_state, partition
):
    count(own_state, partition, 0, 10)
    vouch_all(own_state, 10)
    own_redis.kill()
    with pytest.raises(UnavailableError):
        own_state.view(COUNTER)
    own_redis.start()
    assert own_state.known(partition).offset == 10
    assert not ready(own_state)
    assert vouch_all(own_state, 10) == [None, None]
    assert ready(own_state)


def test_a_redis_that_was_rolled_back_asks_for_a_replay_and_then_counts_every_update_once(
    own_redis, own_state, partition
):
    count(own_state, partition, 0, 10)
    vouch_all(own_state, 10)
    mark = own_redis.mark()
    count(own_state, partition, 10, 20)
    (result,) = own_state.release(partition, [COUNTER])
    vouch_all(own_state, 30)
    assert ready(own_state)

    own_redis.roll_back(mark)
    # It answers, with a value that is too old: nobody may be served that.
    assert not ready(own_state)
    assert own_state.view(COUNTER).snapshot is None
    assert vouch(own_state, 0, 30) == 10
    vouch(own_state, 1, 0)
    assert not ready(own_state)
    # A batch that was read meanwhile doesn't get in ...
    assert count(own_state, partition, 30, 5) == 10
    # ... a replay does, also from further back than needed.
    assert own_state.apply(partition, 0, 0, [adds("counter", 0, *[1] * 35)]) == [("PARTIAL", 10)]
    assert count(own_state, partition, 10, 25) == "APPLIED"
    assert vouch_all(own_state, 35) == [None, None]
    assert ready(own_state)
    (again,) = own_state.release(partition, [COUNTER])
    assert again.snapshot.json == b"35"
    assert again.snapshot.version > result.snapshot.version


def test_a_redis_that_was_wiped_asks_for_the_whole_log_and_then_counts_every_update_once(
    own_redis, own_state, partition
):
    count(own_state, partition, 0, 10)
    (before,) = own_state.release(partition, [COUNTER])
    vouch_all(own_state, 10)
    own_redis.wipe()
    assert not ready(own_state)
    assert vouch(own_state, 0, 10) == 0
    assert count(own_state, partition, 10, 5) == 0
    assert count(own_state, partition, 0, 15) == "APPLIED"
    vouch_all(own_state, 15)
    (after,) = own_state.release(partition, [COUNTER])
    assert after.snapshot.json == b"15"
    assert after.snapshot.version > before.snapshot.version
    assert ready(own_state)


def test_a_redis_flushed_under_a_running_server_is_not_ready(client, state):
    """Its run id is the same as before, but what was vouched for is gone too."""
    vouch_all(state, 0)
    assert ready(state)
    client.flushall()
    assert not ready(state)


# -- a Redis that can't be asked


def calls(state, partition):
    return [
        lambda: state.known(partition).offset,
        lambda: state.apply(partition, 0, 0, [adds("counter", 0, 1)]),
        lambda: state.advance(partition, 0, 0, 1),
        lambda: state.heartbeat(partition, 0, 0, 1, True, ""),
        lambda: state.release(partition, [COUNTER]),
        lambda: state.announced(partition, [("counter", 1)]),
        lambda: state.dirty(partition),
        lambda: state.released(partition),
        lambda: state.view(COUNTER),
    ]


def test_every_call_of_a_dead_redis_is_unavailable(own_redis, own_state, partition):
    count(own_state, partition, 0, 1)
    own_redis.kill()
    for call in calls(own_state, partition):
        with pytest.raises(UnavailableError):
            call()
    own_redis.start()
    for call in calls(own_state, partition):
        call()


def test_every_write_to_a_redis_that_only_reads_is_unavailable(own_redis, own_state, partition):
    """As after a failover: the replica that one still talks to answers READONLY."""
    count(own_state, partition, 0, 1)
    with own_redis.connect() as client:
        client.config_set("masterauth", "")
        client.replicaof("127.0.0.1", 1)
        try:
            with pytest.raises(UnavailableError):
                count(own_state, partition, 1, 1)
            with pytest.raises(UnavailableError):
                own_state.release(partition, [COUNTER])
        finally:
            client.replicaof("NO", "ONE")
    assert count(own_state, partition, 1, 1) == "APPLIED"


def test_a_redis_without_memory_is_unavailable_and_nothing_is_half_done(
    own_redis, own_state, partition
):
    count(own_state, partition, 0, 1)
    with own_redis.connect() as client:
        before = client.hgetall("value:counter")
        client.config_set("maxmemory", 1)
        with pytest.raises(UnavailableError):
            own_state.apply(partition, 0, 1, [adds("counter", 1, 1)])
        client.config_set("maxmemory", 0)
        assert client.hgetall("value:counter") == before
    assert count(own_state, partition, 1, 1) == "APPLIED"


def test_a_client_connects_only_when_it_is_used():
    from holdfast.state import connect

    State(connect("redis://127.0.0.1:1/0"))
    with pytest.raises(redis.ConnectionError):
        connect("redis://127.0.0.1:1/0").ping()
