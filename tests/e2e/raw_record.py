"""A record whose header's name is not UTF-8: confluent-kafka can't write one, librdkafka can."""

from __future__ import annotations

import ctypes

import confluent_kafka.cimpl

_PRODUCER = 0
# rd_kafka_vtype_t, rdkafka.h; RD_KAFKA_MSG_F_COPY
_END, _TOPIC, _PARTITION, _VALUE, _FLAGS, _HEADER = 0, 1, 3, 4, 7, 9
_COPY = 2


def produce_with_header(brokers: str, topic: str, value: bytes, name: bytes) -> None:
    """Write `value` to partition 0, with a header of that name; returns once Kafka has it."""
    # The client's own library; what it is linked against is found through it.
    lib = ctypes.CDLL(confluent_kafka.cimpl.__file__)
    for made in (lib.rd_kafka_conf_new, lib.rd_kafka_new):
        made.restype = ctypes.c_void_p
    error = ctypes.create_string_buffer(512)
    conf = ctypes.c_void_p(lib.rd_kafka_conf_new())
    lib.rd_kafka_conf_set(conf, b"bootstrap.servers", brokers.encode(), error, len(error))
    lib.rd_kafka_conf_set(conf, b"acks", b"all", error, len(error))
    producer = ctypes.c_void_p(lib.rd_kafka_new(_PRODUCER, conf, error, len(error)))
    assert producer.value, error.value
    number, size = ctypes.c_int, ctypes.c_size_t
    try:
        parts = [
            *(number(_TOPIC), topic.encode()),
            *(number(_PARTITION), ctypes.c_int32(0)),
            *(number(_VALUE), value, size(len(value))),
            *(number(_HEADER), name, b"x", ctypes.c_ssize_t(1)),
            *(number(_FLAGS), number(_COPY)),
            number(_END),
        ]
        assert lib.rd_kafka_producev(producer, *parts) == 0
        assert lib.rd_kafka_flush(producer, 30_000) == 0
    finally:
        lib.rd_kafka_destroy(producer)
