"""Records that the Kafka client itself can't read."""

from __future__ import annotations

from holdfast.records import headers


class Message:
    """As confluent-kafka 2.16 meets a header whose name is not UTF-8."""

    def headers(self) -> list[tuple[str, bytes]]:
        raise SystemError("returned a result with an exception set")


class Plain:
    def headers(self) -> None:
        """None: the record has none."""


def test_a_header_that_the_client_can_not_read_is_none_and_fatal_to_nobody():
    assert list(headers(Message())) == []


def test_a_record_without_headers_has_none():
    assert list(headers(Plain())) == []
