"""Limits and deadlines: connections, requests, slow clients, and the memory that they may hold."""

from __future__ import annotations

import json
import select
import time

import pytest
from raw_http import connect, make_request, parse_all, parse_response
from resvd_process import is_sanitized

MEBIBYTE = 1 << 20


def reserve(concert_id: int, quantity: int = 1) -> bytes:
    body = {"concertId": concert_id, "memberId": 1, "quantity": quantity}
    return make_request("POST", "/api/reservations", body)


def test_too_many_connections(start_fake):
    fake = start_fake(server__max_connections=5)
    connections = [fake.connect() for _ in range(5)]
    for connection in connections:
        assert connection.request("GET", "/api/concerts/1").status == 200
    for _ in range(20):
        with fake.connect() as refused:
            answer = refused.read()
            answer.problem(503, "too-many-connections")
            assert answer.closes and int(answer.headers["retry-after"]) > 0
            refused.assert_closed()
    assert fake.admin("GET", "/livez").status == 200  # the admin listener has places of its own
    for connection in connections:
        assert connection.request("GET", "/api/concerts/1").status == 200
    connections.pop().sock.close()
    give_up = time.monotonic() + 5
    while fake.ask("GET", "/api/concerts/1").status != 200:
        assert time.monotonic() < give_up
    for connection in connections:
        connection.sock.close()


def test_max_requests_per_connection(start_fake):
    fake = start_fake(server__max_requests_per_connection=4)
    with fake.connect() as connection:
        connection.send(make_request("GET", "/api/concerts/1") * 7)
        answers = connection.read_until_closed()
    assert [answer.closes for answer in answers] == [False, False, False, True]


HALVES = {
    "one byte": b"G",
    "half a request line": b"GET /api/con",
    "half a head": b"GET /api/concerts/1 HTTP/1.1\r\nHost: te",
    "head without its end": b"GET /api/concerts/1 HTTP/1.1\r\nHost: test\r\n",
    "no body": reserve(2)[: reserve(2).index(b"{")],
    "half a body": reserve(2)[:-1],
    "half a chunk": b"POST /api/reservations HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
    "no end of trailers": b"POST /api/reservations HTTP/1.1\r\nHost: a\r\n"
    b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n",
    "unanswered 100": reserve(2)[: reserve(2).index(b"\r\n\r\n")] + b"\r\nExpect: 100-continue\r\n\r\n",
}


def test_request_timeout(start_fake):
    fake = start_fake(server__request_timeout_ms=400)
    started = time.monotonic()
    connections = {name: fake.connect() for name in HALVES}
    for name, data in HALVES.items():
        connections[name].send(data)
    for name, connection in connections.items():
        try:
            answer = connection.read()
        except TimeoutError:
            raise AssertionError(f"{name}: no answer") from None
        if answer.status == 100:
            answer = connection.read()
        assert time.monotonic() - started > 0.35, name
        answer.problem(408, "request-timeout")
        assert answer.closes, name
        connection.assert_closed()
        connection.sock.close()
    assert time.monotonic() - started < 3
    assert fake.metric("fake_reserve_taken_total") == 0


def test_request_timeout_counts_from_the_first_byte(start_fake):
    """A trickle of bytes buys no time."""
    fake = start_fake(server__request_timeout_ms=500)
    with fake.connect() as connection:
        started = time.monotonic()
        for byte in reserve(2):
            try:
                connection.send(bytes([byte]))
            except (BrokenPipeError, ConnectionResetError):
                break
            if select.select([connection.sock], [], [], 0.02)[0]:
                break
        connection.read().problem(408)
        assert 0.4 < time.monotonic() - started < 2.5
        connection.assert_closed()


def test_request_timeout_is_not_for_the_answer(start_fake):
    """The strategy may take longer than a client may take to ask; each request has its own time."""
    fake = start_fake(server__request_timeout_ms=200)
    with fake.connect() as connection:
        for _ in range(3):
            connection.send(reserve(100, 350))
            assert connection.read().status == 201
        time.sleep(0.3)  # between requests nothing runs but the idle time
        connection.send(reserve(2))
        assert connection.read().status == 201


def test_idle_closes_silently(start_fake):
    fake = start_fake(server__idle_timeout_ms=300)
    started = time.monotonic()
    with fake.connect() as never_used, fake.connect() as used, fake.connect() as busy:
        assert used.request("GET", "/api/concerts/1").status == 200
        busy.send(reserve(100, 700))
        never_used.assert_closed()
        used.assert_closed()
        assert 0.25 < time.monotonic() - started < 0.69
        assert busy.read().status == 201  # waiting for an answer is not idle
        busy.assert_closed()


def test_empty_lines_are_idle(start_fake):
    """Empty lines before a request are skipped: they keep no connection alive."""
    fake = start_fake(server__idle_timeout_ms=400, server__request_timeout_ms=400)
    for piece in (b"\r\n", b"\r"):
        with fake.connect() as connection:
            started = time.monotonic()
            while not select.select([connection.sock], [], [], 0.03)[0]:
                assert time.monotonic() - started < 3, piece
                try:
                    connection.send(piece)
                    piece = b"\n" if piece == b"\r" else b"\r" if piece == b"\n" else piece
                except (BrokenPipeError, ConnectionResetError):
                    break
            try:
                assert [answer.status for answer in connection.read_until_closed()] in ([], [408])
            except ConnectionResetError:
                pass


def test_slow_loris(start_fake):
    """Hundreds that never finish do not keep one client from its answers."""
    fake = start_fake(server__request_timeout_ms=1500)
    loris = [fake.connect() for _ in range(400)]
    for i, connection in enumerate(loris):
        connection.send(b"POST /api/reservations HTTP/1.1\r\nX-%d: " % i)
    slowest = 0.0
    with fake.connect() as connection:
        for i in range(100):
            for slow in loris[i * 4 : i * 4 + 4]:
                slow.send(b"x")
            before = time.monotonic()
            assert connection.request("GET", "/api/concerts/1").status == 200
            slowest = max(slowest, time.monotonic() - before)
    assert slowest < 0.5
    for connection in loris:
        connection.read().problem(408)
        connection.assert_closed()
        connection.sock.close()


def test_ten_thousand_connections(start_fake):
    count = 10_000
    fake = start_fake(server__max_connections=count + 10)
    socks = [connect(fake.address) for _ in range(count)]
    poll = select.poll()
    received = {}
    for i, sock in enumerate(socks):
        sock.sendall(reserve(2, 1 + i % 7))
        received[sock.fileno()] = [i, sock, b""]
        poll.register(sock, select.POLLIN)
    assert fake.metric("http_connections") >= count
    give_up = time.monotonic() + 30
    while received:
        assert time.monotonic() < give_up, f"{len(received)} unanswered"
        for fd, _ in poll.poll(1000):
            entry = received[fd]
            entry[2] += entry[1].recv(65536)
            parsed = parse_response(entry[2])
            if parsed:
                assert parsed[0].status == 201 and parsed[0].json()["quantity"] == 1 + entry[0] % 7
                poll.unregister(fd)
                del received[fd]
    for sock in socks:
        sock.close()
    fake.wait_metric("http_connections", 0)


def read_everything(sock) -> bytes:
    data = bytearray()
    while more := sock.recv(1 << 20):
        data += more
    return bytes(data)


def test_slow_readers_hold_bounded_memory(start_fake):
    """60 clients ask for far more than they read: what waits for them stays within the limit."""
    if is_sanitized():
        limit = 256 * MEBIBYTE  # the sanitizer keeps freed memory for a while
    else:
        limit = 24 * MEBIBYTE
    fake = start_fake(server__answer_memory_bytes=8 * MEBIBYTE, server__write_timeout_ms=60_000)
    size = len(fake.ask("GET", "/openapi.json").raw)
    count = 300  # requests a client, some 60 * 300 * size bytes of answers
    before = fake.resident_bytes()
    socks = [connect(fake.address, receive_buffer=4096) for _ in range(60)]
    request = make_request("GET", "/openapi.json")
    data = request * (count - 1) + make_request("GET", "/openapi.json", close=True)
    for sock in socks:
        sock.setblocking(False)
        left = memoryview(data)
        try:
            while left:
                left = left[sock.send(left) :]
        except BlockingIOError:
            pass
        sock.settimeout(30)
    assert fake.ask("GET", "/api/concerts/1").status in (200, 503)
    peak = 0
    for _ in range(50):
        peak = max(peak, fake.resident_bytes())
        fake.ask("GET", "/api/concerts/1")
    assert peak - before < limit, (before, peak, size)
    # One that begins to read gets all that it asked for, whole and in order.
    answers = parse_all(read_everything(socks[0]))
    assert {answer.status for answer in answers} <= {200, 503}
    for sock in socks:
        sock.close()


def test_reader_that_never_reads_is_cut_off(start_fake):
    fake = start_fake(server__write_timeout_ms=400)
    request = make_request("GET", "/openapi.json")
    sock = connect(fake.address, receive_buffer=4096)
    sock.setblocking(False)
    try:
        while True:
            sock.send(request * 100)
    except (BlockingIOError, ConnectionResetError, BrokenPipeError):
        pass
    give_up = time.monotonic() + 10
    while fake.metric("http_connections") > 0:
        assert time.monotonic() < give_up
        time.sleep(0.02)
    sock.close()
    assert fake.ask("GET", "/api/concerts/1").status == 200


def test_operations_used_up(start_fake):
    fake = start_fake(server__max_operations=8, server__operation_timeout_ms=700)
    with fake.connect() as held:
        held.send(reserve(104) * 8)
        fake.wait_metric("fake_held_operations", 8)
        answer = fake.ask("POST", "/api/reservations", {"concertId": 2, "memberId": 1})
        answer.problem(503, "unavailable")
        assert int(answer.headers["retry-after"]) > 0
        fake.ask("GET", "/api/concerts/1").problem(503, "unavailable")
        assert fake.admin("GET", "/livez").status == 200
        assert [held.read().status for _ in range(8)] == [504] * 8
    assert fake.ask("POST", "/api/reservations", {"concertId": 2, "memberId": 1}).status == 201


@pytest.mark.parametrize("count", [1, 50])
def test_large_requests_in_pieces_hold_bounded_memory(start_fake, count):
    fake = start_fake(server__request_memory_bytes=MEBIBYTE)
    body = json.dumps({"concertId": 2, "memberId": 1}).ljust(16_000).encode()
    data = make_request("POST", "/api/reservations", body)
    connections = [fake.connect() for _ in range(count)]
    for connection in connections:
        connection.send(data[:-1])
    assert fake.admin("GET", "/livez").status == 200
    for connection in connections:
        connection.send(data[-1:])
    assert [connection.read().status for connection in connections] == [201] * count
    for connection in connections:
        connection.sock.close()


def test_request_memory_used_up(start_fake):
    """More half requests than memory: some are refused, none breaks another, all memory comes back."""
    fake = start_fake(server__request_memory_bytes=MEBIBYTE)
    body = json.dumps({"concertId": 2, "memberId": 1}).ljust(16_000).encode()
    data = make_request("POST", "/api/reservations", body)
    for _ in range(3):
        connections = [fake.connect() for _ in range(200)]
        for connection in connections:
            connection.send(data[:-1])
        fake.ask("GET", "/api/concerts/1")
        statuses = []
        for connection in connections:
            try:
                connection.send(data[-1:])
            except (BrokenPipeError, ConnectionResetError):
                pass
            statuses.append(connection.read().status)
            connection.sock.close()
        assert set(statuses) == {201, 503}, set(statuses)
        assert statuses.count(201) >= 20
