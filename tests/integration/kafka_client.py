"""A Kafka client of the test's own, by the librdkafka that resvd needs anyway.

    with KafkaClient(broker.bootstrap) as client:
        client.write("topic", "key", b"any bytes")
        client.end("topic", 0)                      # offset that the next record will have
"""

from __future__ import annotations

import ctypes

CONF_OK, NO_ERROR, COPY, ANY_PARTITION = 0, 0, 2, -1
TIMEOUT_MS = 15000
SETTINGS = {"partitioner": "murmur2", "acks": "all", "linger.ms": "0"}  # the partitions are resvd's


class KafkaClient:
    def __init__(self, bootstrap: str):
        self.library = library = ctypes.CDLL("librdkafka.so.1")
        for name in ("conf_new", "new", "topic_new"):
            getattr(library, f"rd_kafka_{name}").restype = ctypes.c_void_p
        configuration = ctypes.c_void_p(library.rd_kafka_conf_new())
        said = ctypes.create_string_buffer(512)
        for name, value in {"bootstrap.servers": bootstrap, **SETTINGS}.items():
            result = library.rd_kafka_conf_set(configuration, name.encode(), value.encode(), said,
                                               len(said))
            assert result == CONF_OK, said.value
        self.handle = ctypes.c_void_p(library.rd_kafka_new(0, configuration, said, len(said)))
        assert self.handle, said.value

    def __enter__(self) -> KafkaClient:
        return self

    def __exit__(self, *_) -> None:
        self.library.rd_kafka_destroy(self.handle)

    def write(self, topic: str, key: str, payload: bytes) -> None:
        """Returns when the broker has it."""
        place = ctypes.c_void_p(self.library.rd_kafka_topic_new(self.handle, topic.encode(), None))
        result = self.library.rd_kafka_produce(
            place, ctypes.c_int32(ANY_PARTITION), COPY, payload, ctypes.c_size_t(len(payload)),
            key.encode(), ctypes.c_size_t(len(key)), None)
        assert result == NO_ERROR
        assert self.library.rd_kafka_flush(self.handle, TIMEOUT_MS) == NO_ERROR
        self.library.rd_kafka_topic_destroy(place)

    def end(self, topic: str, partition: int) -> int:
        low, high = ctypes.c_int64(), ctypes.c_int64()
        result = self.library.rd_kafka_query_watermark_offsets(
            self.handle, topic.encode(), ctypes.c_int32(partition), ctypes.byref(low),
            ctypes.byref(high), TIMEOUT_MS)
        assert result == NO_ERROR, result
        return high.value


class MockKafka:
    """librdkafka's mock of a cluster, which lives in this process: it answers as it is told to.

    with MockKafka({"topic": 3}) as broker:
        broker.answer(PRODUCE, TOO_LARGE, 10)       # the next ten such requests
    """

    running = True

    def __init__(self, topics: dict[str, int]):
        self.client = KafkaClient("127.0.0.1:1")  # nobody: what it lives in
        self.library = library = self.client.library
        library.rd_kafka_mock_cluster_new.restype = ctypes.c_void_p
        library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
        self.cluster = ctypes.c_void_p(library.rd_kafka_mock_cluster_new(self.client.handle, 3))
        assert self.cluster
        self.bootstrap = library.rd_kafka_mock_cluster_bootstraps(self.cluster).decode()
        for topic, partitions in topics.items():
            result = library.rd_kafka_mock_topic_create(self.cluster, topic.encode(), partitions, 3)
            assert result == NO_ERROR

    def __enter__(self) -> MockKafka:
        return self

    def __exit__(self, *_) -> None:
        self.library.rd_kafka_mock_cluster_destroy(self.cluster)
        self.client.__exit__()

    def answer(self, request: int, error: int, times: int) -> None:
        self.library.rd_kafka_mock_push_request_errors_array(
            self.cluster, ctypes.c_int16(request), ctypes.c_size_t(times),
            (ctypes.c_int * times)(*[error] * times))

    def answer_well(self, request: int) -> None:
        self.library.rd_kafka_mock_clear_request_errors(self.cluster, ctypes.c_int16(request))
