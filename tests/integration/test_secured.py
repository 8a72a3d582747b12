"""Redis and Kafka as a provider runs them: TLS, users and passwords, from settings alone."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
import threading
from pathlib import Path
from string import Template

import pytest
from confluent_kafka import Message, TopicPartition

from holdfast import config
from holdfast.errors import KafkaUnavailableError, UnavailableError
from holdfast.logs import Logs
from holdfast.relay_state import RelayState
from holdfast.state import Partition, State, connect
from holdfast.topics import TopicRules, Topics
from holdfast.values import HOME_TOPIC, Rules
from origin.produce import UpdateProducer
from origin.replay import Record, Replay
from publisher.kafka import (
    PARTITIONS,
    ensure_named,
    make_consumer,
    make_producer,
    make_relay_consumer,
    rejected_topic,
)
from publisher.relay.watch import TopicWatch
from stack.layout import LIBS
from stack.ports import choose
from tests import certificates
from tests.e2e.viewers import until
from tests.integration.folds import adds
from tests.integration.redis_server import RedisServer

USER, PASSWORD = "holdfast", "a password of many words"
# What docs/deploying.md gives Holdfast's user in Redis.
ACL = "on ~* resetchannels +@read +@write +@scripting +@connection +@transaction +info +time"
PART = Partition(HOME_TOPIC, 0)


@pytest.fixture(scope="module")
def folder():
    with tempfile.TemporaryDirectory(prefix="holdfast-secured-") as name:
        yield Path(name)


@pytest.fixture(scope="module")
def made(folder):
    return certificates.make(folder)


@pytest.fixture(scope="module")
def password(folder):
    """The file that a secret is read from."""
    file = folder / "password"
    file.write_text(f"{PASSWORD}\n")
    return file


# -- Redis


def use(settings):
    """One of everything that Holdfast does with Redis."""
    client = connect(settings.redis_url)
    with client:
        state = State(client)
        state.heartbeat(PART, 0, 0, 1, True, "")
        state.apply(PART, 0, 0, [adds("counter", 0, 2)])
        state.release(PART, [Rules("counter", "sum")], position=1)
        RelayState(client).put("test", "an id", [0])
        assert RelayState(client).place("test") is not None
        return client.hget("value:counter", "value")


@pytest.fixture(scope="module")
def tls_redis(folder, made):
    port = choose(folder / "redis.ports", ["redis"], {})["redis"]
    # A password with spaces can only be told by its digest there.
    digest = hashlib.sha256(PASSWORD.encode()).hexdigest()
    (folder / "users").write_text(f"user default off\nuser {USER} #{digest} {ACL}\n")
    server = RedisServer(
        tls_port=port,
        tls_cert_file=made.certificate,
        tls_key_file=made.key,
        tls_ca_cert_file=made.authority,
        tls_auth_clients="no",
        aclfile=folder / "users",
    )
    quoted = PASSWORD.replace(" ", "%20")
    server.url = f"rediss://{USER}:{quoted}@127.0.0.1:{port}/0?ssl_ca_certs={made.authority}"
    try:
        server.start()
        yield server
    finally:
        server.close()


def test_redis_over_tls_as_a_user_of_its_acl(tls_redis, folder):
    (folder / "redis_url").write_text(f"{tls_redis.url}\n")
    assert use(config.load({"HOLDFAST_REDIS_URL_FILE": str(folder / "redis_url")})) == b"2"


def test_redis_on_a_socket(own_redis):
    assert use(config.load({"HOLDFAST_REDIS_URL": f"unix://{own_redis.socket}?db=0"})) == b"2"


@pytest.mark.parametrize(
    "change",
    [
        (f"{USER}:", "somebody:"),
        ("a%20password", "another"),
        ("?ssl_ca_certs=", "?ssl_ca_path=/etc/ssl/certs&not_"),  # an authority that nobody trusts
    ],
)
def test_who_is_not_let_in_by_redis_is_told_that_it_is_unavailable(tls_redis, change):
    url = tls_redis.url.replace(*change).split("&not_")[0]
    settings = config.load({"HOLDFAST_REDIS_URL": url})
    with pytest.raises(UnavailableError) as fault:
        State(connect(settings.redis_url)).known(PART)
    assert PASSWORD not in str(fault.value)


# -- Kafka

PROPERTIES = Template("""\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
listeners=SECURED://127.0.0.1:$kafka,INTERNAL://127.0.0.1:$internal,\
CONTROLLER://127.0.0.1:$controller
advertised.listeners=SECURED://127.0.0.1:$kafka,INTERNAL://127.0.0.1:$internal
listener.security.protocol.map=SECURED:SASL_SSL,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=INTERNAL
controller.listener.names=CONTROLLER
log.dirs=$folder/kafka
offsets.topic.replication.factor=1
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
listener.name.secured.ssl.keystore.type=PEM
listener.name.secured.ssl.keystore.location=$both
listener.name.secured.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.secured.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
""")


@pytest.fixture(scope="module")
def kafka(folder, made):
    """The address of a broker that takes SCRAM over TLS only."""
    ports = choose(folder / "kafka.ports", ["kafka", "internal", "controller"], {})
    file = folder / "server.properties"
    file.write_text(PROPERTIES.substitute(ports, folder=folder, both=made.both))
    java = ["java", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{LIBS}/*"]
    subprocess.run(
        [
            *java,
            *("kafka.tools.StorageTool", "format", "--cluster-id=4L6g3nShT-eMCtK--X86sw"),
            f"--config={file}",
            f"--add-scram=SCRAM-SHA-512=[name={USER},password={PASSWORD}]",
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    with open(folder / "kafka.log", "wb") as log:
        broker = subprocess.Popen([*java, "kafka.Kafka", str(file)], stdout=log, stderr=log)
    try:
        yield f"127.0.0.1:{ports['kafka']}"
    finally:
        broker.kill()
        broker.wait(30)


def secured(address, made, **changes):
    """The settings of every part, and what librdkafka has to be told."""
    return config.load(
        {
            "HOLDFAST_KAFKA": address,
            "HOLDFAST_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "HOLDFAST_KAFKA_SSL_CA_LOCATION": str(made.authority),
            "HOLDFAST_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
            "HOLDFAST_KAFKA_SASL_USERNAME": USER,
            "HOLDFAST_KAFKA_LOG_LEVEL": "0",
            **changes,
        }
    )


def test_every_client_of_kafka_gets_in_by_its_settings(kafka, made, password):
    settings = secured(kafka, made, HOLDFAST_KAFKA_SASL_PASSWORD_FILE=str(password))
    rejected = rejected_topic(HOME_TOPIC)
    stopping = threading.Event()
    giving_up = threading.Timer(90, stopping.set)
    giving_up.start()
    ensure_named(settings, [HOME_TOPIC, rejected], stopping)  # the admin client of the publisher
    giving_up.cancel()
    assert not stopping.is_set()

    producer = UpdateProducer(settings.cluster)
    place = until(lambda: sent(producer), "the first update", 60)
    part = Partition(HOME_TOPIC, place[0])
    assert Logs(settings.cluster).look([part])[part].high >= 1
    start = dict.fromkeys(range(PARTITIONS), 0)
    found = Replay(settings.cluster).read(HOME_TOPIC, start, {**start, place[0]: place[1] + 1})
    assert any(isinstance(each, Record) and each.value == b'{"add":1}' for each in found)

    publisher = make_consumer(settings)
    publisher.subscribe([HOME_TOPIC])
    until(lambda: publisher.poll(0.2) is not None or publisher.assignment(), "an assignment", 60)
    publisher.close()
    relay = make_relay_consumer(settings)
    relay.assign([TopicPartition(HOME_TOPIC, *place)])
    message = until(lambda: relay.poll(1.0), "a record", 60)
    assert message.value() == b'{"add":1}'
    relay.close()
    copies = make_producer(settings)
    delivered: list[Message] = []
    copies.produce(rejected, b"x", on_delivery=lambda error, message: delivered.append(error))
    assert copies.flush(60) == 0
    assert delivered == [None]

    watch = TopicWatch(settings.cluster, Topics((TopicRules(HOME_TOPIC),)), stopping)
    watch.look()
    assert watch.topics == {HOME_TOPIC: PARTITIONS}


def sent(producer):
    try:
        return producer.send("counter", b'{"add":1}')
    except KafkaUnavailableError:  # leaders are not chosen yet
        return None


def test_who_is_not_let_in_by_kafka_is_told_that_it_is_unavailable(kafka, made, monkeypatch):
    monkeypatch.setattr("origin.produce.ACK_TIMEOUT_MS", 1_500)
    settings = secured(kafka, made, HOLDFAST_KAFKA_SASL_PASSWORD="another")
    with pytest.raises(KafkaUnavailableError):
        UpdateProducer(settings.cluster).send("counter", b'{"add":1}')
