"""Puts records into a topic as they are, whatever they hold: Kafka's Produce request, version 3, with
one batch of records of version 2, without compression.

    publish(broker.port, "events", 0, [(b"1", b"1 reserve ...")])     # the offset of the first
"""

from __future__ import annotations

import socket
import struct
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from services.kafka_wire import read_exactly  # noqa: E402

PRODUCE, VERSION, ACKS_ALL, TIMEOUT_MS = 0, 3, -1, 5000
CRC32C = []
for number in range(256):
    for _ in range(8):
        number = number >> 1 ^ (0x82F63B78 if number & 1 else 0)
    CRC32C.append(number)


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ CRC32C[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def varint(number: int) -> bytes:
    """Zigzag."""
    left, encoded = number << 1 ^ number >> 63, b""
    while left > 0x7F:
        encoded += bytes([left & 0x7F | 0x80])
        left >>= 7
    return encoded + bytes([left])


def maybe(data: bytes | None) -> bytes:
    return varint(-1) if data is None else varint(len(data)) + data


def record(delta: int, key: bytes | None, value: bytes | None) -> bytes:
    body = b"\0" + varint(0) + varint(delta) + maybe(key) + maybe(value) + varint(0)
    return varint(len(body)) + body


def batch(records: list[tuple[bytes | None, bytes | None]]) -> bytes:
    now_ms = int(time.time() * 1000)
    body = struct.pack(">hiqqqhii", 0, len(records) - 1, now_ms, now_ms, -1, -1, -1, len(records))
    body += b"".join(record(i, key, value) for i, (key, value) in enumerate(records))
    after_length = struct.pack(">ibI", -1, 2, crc32c(body)) + body
    return struct.pack(">qi", 0, len(after_length)) + after_length


def text(words: str) -> bytes:
    return struct.pack(">h", len(words)) + words.encode()


def publish(port: int, topic: str, partition: int, records: list) -> int:
    """(key, value) each; None: there is none. At the broker that leads the partition."""
    content = batch(records)
    request = struct.pack(">hhi", PRODUCE, VERSION, 1) + text("resvd-test")
    request += struct.pack(">hhii", -1, ACKS_ALL, TIMEOUT_MS, 1) + text(topic)
    request += struct.pack(">iii", 1, partition, len(content)) + content
    with socket.create_connection(("127.0.0.1", port), 10.0) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        with connection.makefile("rb") as file:
            answer = read_exactly(file, struct.unpack(">i", read_exactly(file, 4))[0])
    at = 4 + 4 + 2 + len(topic) + 4
    found, error, offset = struct.unpack_from(">ihq", answer, at)
    assert (found, error) == (partition, 0), f"partition {found}: Kafka's error {error}"
    return offset


def partition_of(key: bytes, partitions: int) -> int:
    """As producers do whose partitioner is murmur2."""
    mask, mixer = 0xFFFFFFFF, 0x5BD1E995
    mixed = (0x9747B28C ^ len(key)) & mask
    for at in range(0, len(key) // 4 * 4, 4):
        word = int.from_bytes(key[at : at + 4], "little") * mixer & mask
        mixed = mixed * mixer & mask ^ (word ^ word >> 24) * mixer & mask
    rest = key[len(key) // 4 * 4 :]
    if rest:
        mixed = (mixed ^ int.from_bytes(rest, "little")) * mixer & mask
    mixed = (mixed ^ mixed >> 13) * mixer & mask
    return ((mixed ^ mixed >> 15) & 0x7FFFFFFF) % partitions
