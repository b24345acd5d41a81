"""A Kafka cluster to test with: librdkafka's own mock brokers, which speak the real protocol over TCP.

``confluent_kafka`` carries the library; its functions for mock clusters are not wrapped in Python, so they are called
by ctypes. Brokers can be taken down and brought up again at the same address.
"""

import ctypes
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import files
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

_PRODUCER = 0


@cache
def _library() -> Any:
    (path,) = [file.locate() for file in files("confluent-kafka") or () if re.match(r"librdkafka.*\.so", file.name)]
    library = ctypes.CDLL(str(path))
    pointer = ctypes.c_void_p
    for name, result, arguments in (
        ("rd_kafka_conf_new", pointer, []),
        ("rd_kafka_new", pointer, [ctypes.c_int, pointer, ctypes.c_char_p, ctypes.c_size_t]),
        ("rd_kafka_mock_cluster_new", pointer, [pointer, ctypes.c_int]),
        ("rd_kafka_mock_cluster_bootstraps", ctypes.c_char_p, [pointer]),
        ("rd_kafka_mock_topic_create", ctypes.c_int, [pointer, ctypes.c_char_p, ctypes.c_int, ctypes.c_int]),
        ("rd_kafka_mock_group_initial_rebalance_delay_ms", None, [pointer, ctypes.c_int32]),
        ("rd_kafka_mock_broker_set_down", ctypes.c_int, [pointer, ctypes.c_int32]),
        ("rd_kafka_mock_broker_set_up", ctypes.c_int, [pointer, ctypes.c_int32]),
        ("rd_kafka_mock_cluster_destroy", None, [pointer]),
        ("rd_kafka_destroy", None, [pointer]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class KafkaCluster:
    """One broker, plain text; topics are made when they are first written to, with one partition."""

    def __init__(self, cluster: int) -> None:
        self._cluster = cluster
        self.servers = _library().rd_kafka_mock_cluster_bootstraps(cluster).decode()
        self._producer = Producer({"bootstrap.servers": self.servers, "log_level": 0})
        self._topics: set[str] = set()

    def make_topic(self, topic: str) -> None:
        assert _library().rd_kafka_mock_topic_create(self._cluster, topic.encode(), 1, 1) == 0
        self._topics.add(topic)

    def send(self, topic: str, message: object) -> None:
        """Write a message and wait until the broker has it."""
        if topic not in self._topics:
            self.make_topic(topic)
        value = message if isinstance(message, bytes) else json.dumps(message).encode()
        self._producer.produce(topic, value)
        assert self._producer.flush(20) == 0, "the broker did not take a message"

    def stop(self) -> None:
        """Take the broker down: connections break, and nobody can connect."""
        assert _library().rd_kafka_mock_broker_set_down(self._cluster, 1) == 0

    def start(self) -> None:
        assert _library().rd_kafka_mock_broker_set_up(self._cluster, 1) == 0

    def committed(self, topic: str, *, group: str) -> int:
        """Return the offset that a group committed; negative when it committed none."""
        consumer = Consumer({"bootstrap.servers": self.servers, "group.id": group, "log_level": 0})
        try:
            (found,) = consumer.committed([TopicPartition(topic, 0)], timeout=20)
            return int(found.offset)
        finally:
            consumer.close()


@contextmanager
def kafka_cluster() -> Iterator[KafkaCluster]:
    """Run a cluster while the block lasts."""
    library = _library()
    handle = library.rd_kafka_new(_PRODUCER, library.rd_kafka_conf_new(), ctypes.create_string_buffer(500), 500)
    cluster = library.rd_kafka_mock_cluster_new(handle, 1)
    # A new group waits for more members; seconds by default.
    library.rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, 50)
    try:
        yield KafkaCluster(cluster)
    finally:
        library.rd_kafka_mock_cluster_destroy(cluster)
        library.rd_kafka_destroy(handle)
