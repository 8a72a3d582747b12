"""Which relay owns which partition."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from publisher.relay.owners import owned_by

TOPICS = {"a": 4, "b": 64, "c": 1}
members = st.lists(
    st.text("abcdef123", min_size=1, max_size=4), min_size=1, max_size=6, unique=True
)


@given(members)
def test_every_partition_has_exactly_one_owner(names):
    shares = [owned_by(name, names, TOPICS) for name in names]
    assert sum(len(share) for share in shares) == sum(TOPICS.values())
    assert len(set().union(*shares)) == sum(TOPICS.values())


@given(members, st.data())
def test_who_leaves_moves_only_its_own_partitions(names, data):
    gone = data.draw(st.sampled_from(names))
    for name in set(names) - {gone}:
        left = [other for other in names if other != gone]
        assert owned_by(name, names, TOPICS) <= owned_by(name, left, TOPICS)


def test_all_have_a_share():
    assert all(len(owned_by(name, ["x", "y"], {"a": 64})) > 16 for name in "xy")


def test_a_relay_that_is_not_alive_owns_nothing():
    assert owned_by("z", ["x", "y"], TOPICS) == set()
