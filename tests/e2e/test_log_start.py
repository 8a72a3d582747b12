"""Records that are gone before they were applied: refused with words, and taken up on command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from tests.e2e.viewers import answers, snapshot, until

KEY = "a"
NAME = f"lossy.{KEY}"


def _accept(stack, topic, number, *options):
    command = Path(sys.executable).parent / "holdfast"
    return subprocess.run(
        [command, "accept-log", topic, str(number), "--dir", stack.dir, *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        input="n\n",
    )


@pytest.fixture
def hole(stack):
    """The number of a partition of which two records were deleted before they were applied."""
    stack.produce("lossy", "1", key=KEY)
    until(lambda: answers(f"{stack.url}/values/{NAME}"), "the first record")
    stack.stop_part("publisher-1")
    admin = AdminClient({"bootstrap.servers": stack.kafka})
    for number in ("10", "10", "100"):
        stack.produce("lossy", number, key=KEY)
    parts = range(len(admin.list_topics("lossy", timeout=10).topics["lossy"].partitions))
    asked = [TopicPartition("lossy", part) for part in parts]
    ends = {
        part.partition: future.result().offset
        for part, future in admin.list_offsets(
            dict.fromkeys(asked, OffsetSpec.latest()), request_timeout=10
        ).items()
    }
    number = max(ends, key=lambda part: ends[part])
    for future in admin.delete_records([TopicPartition("lossy", number, 3)]).values():
        future.result()
    stack.start_part("publisher-1")
    yield number
    stack.start_part("publisher-1")


def test_a_log_with_a_hole_is_refused_until_an_operator_accepts_it(stack, hole):
    def refused():
        return f"holdfast accept-log lossy {hole}" in "\n".join(
            stack.last_lines("publisher-1", 200)
        )

    until(refused, "the refusal in the publisher's log", 30)
    asked = _accept(stack, "lossy", hole)
    assert asked.returncode == 1
    assert (
        f"lossy[{hole}] starts at offset 3, but only what lies below 1 is applied" in asked.stderr
    )
    assert snapshot(stack.url, NAME)["value"] == 1
    done = _accept(stack, "lossy", hole, "--yes")
    assert (done.returncode, done.stdout) == (0, f"accepted: lossy[{hole}] goes on at offset 3\n")
    until(lambda: snapshot(stack.url, NAME)["value"] == 101, "what is left of the log", 30)
    again = _accept(stack, "lossy", hole, "--yes")
    assert (again.returncode, again.stdout) == (0, f"lossy[{hole}] needs no repair\n")


def test_a_topic_that_is_re_created_while_it_is_read_is_refused(stack):
    value = snapshot(stack.url, NAME)["value"]
    admin = AdminClient({"bootstrap.servers": stack.kafka})
    admin.delete_topics(["lossy"])["lossy"].result()
    until(lambda: _created(admin, "lossy"), "the topic of the same name")
    said = "the topic was re-created"
    until(lambda: said in "\n".join(stack.last_lines("publisher-1", 200)), "the refusal", 30)
    stack.produce("lossy", "7", key=KEY)
    for number in range(4):
        assert _accept(stack, "lossy", number, "--yes").returncode == 0
    until(lambda: snapshot(stack.url, NAME)["value"] == value + 7, "the new log's records", 30)


def _created(admin, topic) -> bool:
    """Whether it could be created: the old one goes away a moment after it was deleted."""
    try:
        admin.create_topics([NewTopic(topic, 4, 1)])[topic].result()
    except KafkaException:
        return False
    return True


def test_a_topic_that_does_not_exist_is_a_clear_error(stack):
    done = _accept(stack, "nowhere", 0)
    assert done.returncode == 1
    assert "Kafka" in done.stderr
