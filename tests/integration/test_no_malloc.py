"""The hot path allocates nothing: allocations of the whole process are counted by a preloaded library
while reservations are made on connections that stay open."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path

import pytest
from raw_http import make_request, parse_response
from resvd_process import is_sanitized

SOURCE = Path(__file__).resolve().parents[1] / "support" / "count_malloc.c"
REQUEST = make_request("POST", "/api/reservations", {"concertId": 1, "memberId": 7, "quantity": 1})
REQUESTS = 10_000


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    path = tmp_path_factory.mktemp("count") / "count_malloc.so"
    compiler = os.environ.get("CC", "cc").split()[-1]
    flags = ["-DSANITIZED"] if is_sanitized() else []
    subprocess.run(
        [compiler, "-std=c11", "-D_GNU_SOURCE", "-shared", "-fPIC", "-O1", "-Wall", "-Werror",
         "-fno-builtin", *flags, str(SOURCE), "-o", str(path)],
        check=True,
    )
    return path


@pytest.fixture
def counted(start_fake, library, tmp_path):
    """A fake resvd, and what says how often it has allocated so far."""
    file = tmp_path / "count"
    server = start_fake(
        environment={
            "LD_PRELOAD": str(library),
            "COUNT_MALLOC_FILE": str(file),
            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0",
        }
    )

    def allocations() -> int:
        return struct.unpack("=Q", file.read_bytes())[0]

    return server, allocations


def reserve(connection, count: int, deep: int) -> None:
    """`deep` requests in one write, then all their answers, until there were `count`."""
    answers = b""
    for _ in range(count // deep):
        connection.send(REQUEST * deep)
        left = deep
        while left > 0:
            parsed = parse_response(answers, "POST")
            if parsed is None:
                data = connection.sock.recv(1 << 16)
                assert data
                answers += data
                continue
            response, answers = parsed
            assert response.status == 201
            left -= 1


@pytest.mark.parametrize("deep", [1, 16, 50])
def test_reservations(counted, deep):
    server, allocations = counted
    with server.connect() as connection:
        reserve(connection, 200, deep)  # what is allocated once has been
        before = allocations()
        reserve(connection, REQUESTS, deep)
        assert allocations() - before == 0


def test_many_connections(counted):
    """Also where each request comes on another connection."""
    server, allocations = counted
    connections = [server.connect() for _ in range(100)]
    for connection in connections:
        reserve(connection, 1, 1)
    before = allocations()
    for _ in range(20):
        for connection in connections:
            reserve(connection, 1, 1)
    assert allocations() - before == 0
    for connection in connections:
        connection.sock.close()


def test_it_counts(counted):
    """What does allocate is seen: else the tests above prove nothing."""
    server, allocations = counted
    with server.connect() as connection:
        connection.request("GET", "/api/concerts/1")
        before = allocations()
        for _ in range(100):
            assert connection.request("GET", "/api/concerts/1").status == 200
        assert allocations() - before >= 100
