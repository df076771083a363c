"""Connections: keep-alive, pipelines, 100-continue, half-close, HEAD, other kinds of listener."""

from __future__ import annotations

import socket
import threading

import pytest
from raw_http import Connection, ask, make_request
from resvd_process import free_port


def reserve(concert_id: int, quantity: int = 1, **options) -> bytes:
    body = {"concertId": concert_id, "memberId": 1, "quantity": quantity}
    return make_request("POST", "/api/reservations", body, **options)


def test_keep_alive(fake):
    with fake.connect() as connection:
        for i in range(500):
            assert connection.request("GET", f"/api/concerts/{i % 10 + 1}").json()["id"] == i % 10 + 1


def test_pipelined_answers_come_in_order(fake):
    with fake.connect() as connection:
        connection.send(b"".join(make_request("GET", f"/api/members/{i}") for i in range(1, 51)))
        for i in range(1, 51):
            assert connection.read().json()["id"] == i


def test_order_is_kept_when_the_strategy_answers_in_reverse(fake):
    """40 are held; one more lets them go, last first: the answers still come in order."""
    with fake.connect() as connection:
        data = b"".join(reserve(101, quantity) for quantity in range(1, 41))
        connection.send(data + reserve(103) + make_request("GET", "/api/concerts/7"))
        for quantity in range(1, 41):
            assert connection.read().json()["quantity"] == quantity
        assert connection.read().json()["concertId"] == 103
        assert connection.read().json()["id"] == 7


def test_order_is_kept_among_slow_and_quick(fake):
    with fake.connect() as connection:
        kinds = [(100, 40), (2, 1), (118, 1), (100, 10), (3, 2), (112, 1), (100, 1)]
        connection.send(b"".join(reserve(*kind) for kind in kinds))
        statuses = [connection.read().status for _ in kinds]
    assert statuses == [201, 201, 404, 201, 201, 409, 201]


def test_answers_to_one_connection_do_not_wait_for_another(fake):
    with fake.connect() as held, fake.connect() as other:
        held.send(reserve(101))
        fake.wait_metric("fake_held_operations", 1)
        for _ in range(20):
            assert other.request("GET", "/api/concerts/1").status == 200
        held.assert_silent(0.02)
        assert other.request("POST", "/api/reservations", {"concertId": 102, "memberId": 1}).status == 201
        assert held.read().status == 201


def test_more_than_64_pipelined(fake):
    """Nothing is lost, the order stays, and no more than 64 are under way for one connection."""
    with fake.connect() as connection, fake.connect() as other:
        count = 300
        data = b"".join(reserve(101, quantity) for quantity in range(1, count + 1))
        sender = threading.Thread(target=connection.send, args=(data,))
        sender.start()
        read = 0
        while read < count:
            wanted = min(64, count - read)
            fake.wait_metric("fake_held_operations", wanted)
            other.request("GET", "/api/concerts/1")
            assert fake.metric("fake_held_operations") == wanted
            assert other.request("POST", "/api/reservations", {"concertId": 102, "memberId": 1}).status == 201
            for _ in range(wanted):
                read += 1
                assert connection.read().json()["quantity"] == read
        sender.join()


def test_thousands_pipelined_at_once(fake):
    count = 5000
    with fake.connect() as connection:
        data = b"".join(reserve(2, 1 + i % 9) for i in range(count))
        sender = threading.Thread(target=connection.send, args=(data,))
        sender.start()
        for i in range(count):
            assert connection.read().json()["quantity"] == 1 + i % 9
        sender.join()


def test_pipelined_behind_a_bad_one(fake):
    """What came before is answered, the bad one is refused, what came behind never happened."""
    before = fake.metric("fake_reserve_taken_total")
    with fake.connect() as connection:
        bad = b"GET / HTTP/1.1\r\nHost : a\r\n\r\n"
        connection.send(reserve(100, 30) + reserve(2) + bad + reserve(2) + reserve(2))
        assert [r.status for r in connection.read_until_closed()] == [201, 201, 400]
    assert fake.metric("fake_reserve_taken_total") == before + 2


def test_pipelined_behind_connection_close(fake):
    before = fake.metric("fake_reserve_taken_total")
    with fake.connect() as connection:
        connection.send(reserve(2, close=True) + reserve(2) + reserve(2))
        answers = connection.read_until_closed()
    assert [(r.status, r.closes) for r in answers] == [(201, True)]
    assert fake.metric("fake_reserve_taken_total") == before + 1


def test_requests_in_tiny_pieces_between_others(fake):
    with fake.connect() as connection:
        data = reserve(2) + make_request("GET", "/api/concerts/4")
        for byte in data:
            connection.send(bytes([byte]))
        assert connection.read().status == 201
        assert connection.read().json()["id"] == 4


# --- 100-continue --------------------------------------------------------------------------------


def test_continue_then_body(fake):
    body = b'{"concertId":2,"memberId":1}'
    head = make_request("POST", "/api/reservations", body, {"Expect": "100-continue"})[: -len(body)]
    with fake.connect() as connection:
        connection.send(head)
        interim = connection.read()
        assert (interim.status, interim.headers, interim.body) == (100, {}, b"")
        connection.send(body)
        assert connection.read().status == 201


def test_no_continue_when_the_body_is_there(fake):
    """RFC 9110 section 10.1.1: a 100 may be left out; there must be at most one, and before."""
    body = b'{"concertId":2,"memberId":1}'
    with fake.connect() as connection:
        connection.send(make_request("POST", "/api/reservations", body, {"Expect": "100-continue"}))
        statuses = [connection.read().status]
        if statuses[0] == 100:
            statuses.append(connection.read().status)
        assert statuses[-1] == 201


@pytest.mark.parametrize(
    ("method", "target", "fields", "status"),
    [
        ("POST", "/nowhere", {}, 404),
        ("PUT", "/api/reservations", {}, 405),
        ("POST", "/api/reservations", {"Content-Type": "text/plain"}, 415),
        ("POST", "/api/reservations", {"Content-Encoding": "gzip"}, 415),
        ("POST", "/api/reservations", {"Idempotency-Key": "a b"}, 400),
        ("POST", "/api/reservations", {"Content-Length": "16385"}, 413),
        ("POST", "/api/reservations", {"Transfer-Encoding": "chunked"}, 400),
        ("POST", "/api/reservations", {"Expect": "200-ok"}, 417),
    ],
)
def test_no_continue_for_what_is_refused_anyway(fake, method, target, fields, status):
    body = b'{"concertId":2,"memberId":1}'
    head = make_request(method, target, body, {"Expect": "100-continue", **fields})[: -len(body)]
    with fake.connect() as connection:
        connection.send(head)
        answer = connection.read()
        answer.problem(status)
        if not answer.closes:  # then the body must still be read as one
            connection.send(body)
            assert connection.request("GET", "/api/concerts/2").json()["id"] == 2


def test_continue_pipelined_waits_for_its_turn(fake):
    body = b'{"concertId":2,"memberId":1}'
    head = make_request("POST", "/api/reservations", body, {"Expect": "100-continue"})[: -len(body)]
    with fake.connect() as connection:
        connection.send(reserve(100, 30) + head)
        assert connection.read().status == 201
        assert connection.read().status == 100
        connection.send(body)
        assert connection.read().status == 201


# --- HEAD, OPTIONS --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    ["/api/concerts/1", "/api/concerts", "/api/concerts?limit=3", "/api/members/1", "/openapi.json",
     "/problems/sold-out", "/api/concerts/99999", "/nowhere", "/api/concerts?limit=x"],
)
def test_head_says_what_get_says(fake, target):
    with fake.connect() as connection:
        get = connection.request("GET", target)
        head = connection.request("HEAD", target)
        assert head.status == get.status
        assert head.body == b""
        for headers in (get.headers, head.headers):
            headers.pop("date")
        assert head.headers == get.headers
        assert int(head.headers["content-length"]) == len(get.body)
        assert connection.request("GET", "/api/concerts/1").status == 200


@pytest.mark.parametrize(
    ("target", "methods"),
    [
        ("/api/reservations", {"POST", "OPTIONS"}),
        ("/api/reservations/018f0000-0000-7000-8000-000000000000", {"GET", "HEAD", "DELETE", "OPTIONS"}),
        ("/api/concerts", {"GET", "HEAD", "OPTIONS"}),
        ("/api/concerts/1", {"GET", "HEAD", "OPTIONS"}),
        ("/api/members/1", {"GET", "HEAD", "OPTIONS"}),
        ("/openapi.json", {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_options(fake, target, methods):
    answer = fake.ask("OPTIONS", target)
    assert answer.status == 204
    assert set(answer.headers["allow"].split(", ")) == methods
    refused = fake.ask("PATCH", target)
    refused.problem(405, "method-not-allowed")
    assert set(refused.headers["allow"].split(", ")) == methods


# --- ends -----------------------------------------------------------------------------------------


def test_half_close_is_answered(fake):
    with fake.connect() as connection:
        connection.send(reserve(100, 50) + reserve(2))
        connection.sock.shutdown(socket.SHUT_WR)
        assert [r.status for r in connection.read_until_closed()] == [201, 201]


def test_half_close_without_a_request(fake):
    with fake.connect() as connection:
        connection.sock.shutdown(socket.SHUT_WR)
        connection.assert_closed()


@pytest.mark.parametrize("cut", [1, 10, 40, -1])
def test_half_close_inside_a_request(fake, cut):
    """Half a request can never be whole any more: nothing is done."""
    before = fake.metric("fake_reserve_taken_total")
    with fake.connect() as connection:
        connection.send(reserve(2)[:cut])
        connection.sock.shutdown(socket.SHUT_WR)
        assert [r.status for r in connection.read_until_closed()] in ([], [400])
    assert fake.metric("fake_reserve_taken_total") == before


def test_http_10_closes(fake):
    with fake.connect() as connection:
        connection.send(b"GET /api/concerts/1 HTTP/1.0\r\n\r\n")
        answer = connection.read()
        assert answer.status == 200 and answer.closes
        connection.assert_closed()


def test_http_10_keep_alive_says_so(fake):
    with fake.connect() as connection:
        for _ in range(3):
            connection.send(b"GET /api/concerts/1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert connection.read().headers["connection"].lower() == "keep-alive"


# --- listeners --------------------------------------------------------------------------------------


def test_listens_on_unix_ipv4_and_ipv6(start_fake, tmp_path):
    path = str(tmp_path / "resvd.sock")
    admin_path = str(tmp_path / "admin.sock")
    fake = start_fake(
        wait=False,
        server__listen=None,
        server__admin_listen=None,
        arguments=[
            f"--server.listen=127.0.0.1:{(port := free_port())},[::1]:{port},unix:{path}",
            f"--server.admin_listen=127.0.0.1:{(admin := free_port())},unix:{admin_path}",
        ],
    )
    fake.admin_address = ("127.0.0.1", admin)
    fake.wait_ready()
    for address in (("127.0.0.1", port), ("::1", port), path):
        with Connection(address) as connection:
            connection.send(reserve(2) * 3)
            assert [connection.read().status for _ in range(3)] == [201] * 3
    assert ask(admin_path, "GET", "/livez").status == 200
    assert fake.stop() == 0


def test_unix_socket_left_by_a_killed_one_is_taken_over(start_fake, tmp_path):
    path = str(tmp_path / "resvd.sock")
    first = start_fake(server__listen=f"unix:{path}")
    first.kill()
    second = start_fake(server__listen=f"unix:{path}")
    assert ask(path, "GET", "/api/concerts/1").status == 200
    assert second.stop() == 0


def test_unix_socket_of_a_running_one_is_not_taken(start_fake, tmp_path):
    path = str(tmp_path / "resvd.sock")
    start_fake(server__listen=f"unix:{path}")
    second = start_fake(server__listen=f"unix:{path}", wait=False)
    assert second.wait_exit() not in (0, None)
    assert path in second.log()
    assert ask(path, "GET", "/api/concerts/1").status == 200
