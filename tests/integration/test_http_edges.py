"""Corners of the HTTP layer that need the whole server: the pool of pipelined requests used up by
others, and answers to HEAD that are faults."""

from __future__ import annotations

import time

import pytest
from raw_http import make_request, parse_response

HELD = {"concertId": 101, "memberId": 1, "quantity": 1}
RELEASE = {"concertId": 102, "memberId": 1, "quantity": 1}
PROBLEM = make_request("GET", "/problems/sold-out")


def reserve(body: dict) -> bytes:
    return make_request("POST", "/api/reservations", body)


def test_half_a_request_while_others_use_the_pool(start_fake):
    """No exchange is to be had for the 408: the answers under way are the last ones, and come."""
    server = start_fake(server__max_operations=3, server__request_timeout_ms=300)
    with server.connect() as half, server.connect() as greedy, server.connect() as releasing:
        half.send(reserve(HELD) + PROBLEM[:20])
        server.wait_metric("fake_held_operations", 1)
        greedy.send(reserve(HELD) + PROBLEM * 3)
        server.wait_metric("http_pipelined_requests", 3)
        server.wait_metric("http_timeouts_total", 1)
        half.send(PROBLEM[20:])  # too late
        releasing.send(reserve(RELEASE))
        assert releasing.read("POST").status == 201
        answer = half.read("POST")
        assert answer.status == 201
        half.assert_closed()
        assert greedy.read("POST").status == 201
        for _ in range(3):
            assert greedy.read().status == 200
    assert server.ask("GET", "/problems/sold-out").status == 200


def test_connections_wait_for_the_pool(start_fake):
    """Pipelines that find no room go on when there is some, in order, and nothing is lost."""
    server = start_fake(server__max_operations=4)
    with server.connect() as releasing:
        connections = [server.connect() for _ in range(3)]
        for connection in connections:
            connection.send(reserve(HELD) + PROBLEM * 10 + reserve(RELEASE))
        server.wait_metric("fake_held_operations", 3)
        server.wait_metric("http_pipelined_requests", 4)
        releasing.send(reserve(RELEASE))
        assert releasing.read("POST").status == 201
        for connection in connections:
            assert connection.read("POST").status == 201
            for _ in range(10):
                assert connection.read().status == 200
            assert connection.read("POST").status == 201
            connection.sock.close()
        server.wait_metric("http_pipelined_requests", 0)


@pytest.mark.parametrize(
    "data, status",
    [
        (b"HEAD /api/concerts HTTP/1.1\r\n\r\n", 400),
        (b"HEAD /api/concerts HTTP/1.1\r\nHost: h\r\nExpect: x\r\n\r\n", 417),
        (b"HEAD /api/concerts HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"HEAD /api/concerts HTTP/1.1\r\nHost: h\r\nContent-Length: 99999\r\n\r\n", 413),
    ],
)
def test_faults_of_head_have_no_body(server, data, status):
    with server.connect() as connection:
        connection.send(data)
        received = b""
        while part := connection.sock.recv(1 << 16):
            received += part
    parsed = parse_response(received, "HEAD")
    assert parsed is not None
    response, rest = parsed
    assert response.status == status
    assert response.closes
    assert rest == b""


def test_half_a_head_request(start_fake):
    server = start_fake(server__request_timeout_ms=200)
    with server.connect() as connection:
        begun = time.monotonic()
        connection.send(b"HEAD /api/concerts HTTP/1.1\r\nHost: h\r\nX: y")
        received = b""
        while part := connection.sock.recv(1 << 16):
            received += part
        assert time.monotonic() - begun >= 0.2
    assert received.startswith(b"HTTP/1.1 408 ")
    assert received.endswith(b"\r\n\r\n")
