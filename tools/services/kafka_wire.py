"""Kafka's Metadata request, version 1: which brokers does a broker know of?"""

from __future__ import annotations

import socket
import struct

METADATA = 3
VERSION = 1
NO_TOPICS = 0
CLIENT = b"resvd-services"
ANSWER_MAX_BYTES = 1 << 20


def known_brokers(address: tuple[str, int], timeout_s: float = 5.0) -> dict[int, tuple[str, int]]:
    """Host and port of each by its id, as the broker at `address` advertises them. OSError where
    there is no answer that makes sense."""
    body = struct.pack(">i", NO_TOPICS)
    request = struct.pack(">hhih", METADATA, VERSION, 1, len(CLIENT)) + CLIENT + body
    with socket.create_connection(address, timeout_s) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        with connection.makefile("rb") as file:
            size = struct.unpack(">i", read_exactly(file, 4))[0]
            if not 8 <= size <= ANSWER_MAX_BYTES:
                raise ConnectionError("not an answer of Kafka's")
            return parse_brokers(read_exactly(file, size))


def read_exactly(file, size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise ConnectionError("the broker closed the connection")
    return data


def parse_brokers(answer: bytes) -> dict[int, tuple[str, int]]:
    try:
        correlation, count = struct.unpack_from(">ii", answer)
        if correlation != 1:
            raise ConnectionError("an answer to another question")
        at = 8
        brokers = {}
        for _ in range(count):
            node, size = struct.unpack_from(">ih", answer, at)
            host = answer[at + 6:at + 6 + size].decode()
            at += 6 + size
            port, rack_size = struct.unpack_from(">ih", answer, at)
            at += 6 + max(rack_size, 0)
            brokers[node] = (host, port)
        return brokers
    except (struct.error, UnicodeDecodeError) as error:
        raise ConnectionError(f"not an answer of Kafka's: {error}") from None
