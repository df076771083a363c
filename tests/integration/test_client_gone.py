"""The client goes away, or the deadline comes, at every state of an operation. Driven by barriers."""

from __future__ import annotations

import socket
import struct
import uuid

import pytest
from raw_http import make_request
from resvd_fixtures import finish, starter

TIMEOUTS = {"server__operation_timeout_ms": 400, "server__operation_grace_ms": 300}


def reserve(concert_id: int, quantity: int = 1, key: str | None = None) -> bytes:
    body = {"concertId": concert_id, "memberId": 1, "quantity": quantity}
    return make_request("POST", "/api/reservations", body, {"Idempotency-Key": key} if key else None)


def ask_reserve(server, concert_id: int, quantity: int = 1, key: str | None = None):
    body = {"concertId": concert_id, "memberId": 1, "quantity": quantity}
    headers = {"Idempotency-Key": key} if key else None
    return server.ask("POST", "/api/reservations", body, headers)


def leave(connection, how: str) -> None:
    """By FIN with nobody reading any more, or by RST."""
    if how == "reset":
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.sock.close()


@pytest.fixture(scope="module")
def quick(request, tmp_path_factory):
    """The fake with short deadlines, shared."""
    function, servers = starter(request, tmp_path_factory)
    yield function(binary="resvd-fake", strategy="fake", **TIMEOUTS)
    finish(request.session, servers)


@pytest.fixture(params=["close", "reset"])
def how(request):
    return request.param


def test_gone_while_submitted(fake, how):
    """Nobody waits any longer, but what was asked is done, and found under its key."""
    key = uuid.uuid4().hex
    connection = fake.connect()
    connection.send(reserve(101, 3, key))
    fake.wait_metric("fake_held_operations", 1)
    leave(connection, how)
    assert ask_reserve(fake, 102).status == 201
    fake.wait_metric("fake_held_operations", 0)
    again = ask_reserve(fake, 101, 3, key)
    assert again.status == 201
    assert again.headers["idempotent-replay"] == "true"
    assert again.json()["quantity"] == 3


def test_gone_with_many_under_way(fake, how):
    keys = [uuid.uuid4().hex for _ in range(50)]
    connection = fake.connect()
    connection.send(b"".join(reserve(101, 1, key) for key in keys))
    fake.wait_metric("fake_held_operations", 50)
    leave(connection, how)
    assert ask_reserve(fake, 103).status == 201
    for key in keys:
        assert ask_reserve(fake, 101, 1, key).headers["idempotent-replay"] == "true"


def test_gone_while_queued(fake):
    """What the strategy never saw it never will. By RST: a FIN may be a half-close that waits."""
    taken = fake.metric("fake_reserve_taken_total")
    busy = fake.metric("fake_busy_total")
    connection = fake.connect()
    with fake.connect() as holder:
        holder.send(reserve(101))
        fake.wait_metric("fake_held_operations", 1)
        connection.send(reserve(122))
        fake.wait_metric("fake_busy_total", busy + 1)
        leave(connection, "reset")
        fake.wait_metric("operations_queued", 0)
        # The one that holds: let go by its own deadline would take long; 102 is taken at once.
        assert ask_reserve(fake, 102).status == 201
        assert holder.read().status == 201
    assert fake.metric("fake_reserve_taken_total") == taken + 2


def test_gone_and_cancelled_by_the_deadline(quick, how):
    """104 takes nothing once cancelled: the same key is free."""
    key = uuid.uuid4().hex
    cancelled = quick.metric("fake_cancel_total")
    connection = quick.connect()
    connection.send(reserve(104, 1, key))
    quick.wait_metric("fake_held_operations", 1)
    leave(connection, how)
    quick.wait_metric("fake_held_operations", 0)
    assert quick.metric("fake_cancel_total") == cancelled + 1
    again = ask_reserve(quick, 104, 1, key)
    again.problem(504, "timeout")


def test_gone_and_cancel_lost_the_race(quick, how):
    key = uuid.uuid4().hex
    connection = quick.connect()
    connection.send(reserve(106, 1, key))
    quick.wait_metric("fake_held_operations", 1)
    leave(connection, how)
    quick.wait_metric("fake_held_operations", 0)
    again = ask_reserve(quick, 106, 1, key)
    assert again.status == 201 and again.headers["idempotent-replay"] == "true"


def test_gone_past_deadline_and_grace(quick, how):
    key = uuid.uuid4().hex
    cancelled = quick.metric("fake_cancel_total")
    connection = quick.connect()
    connection.send(reserve(105, 1, key))
    quick.wait_metric("fake_held_operations", 1)
    leave(connection, how)
    quick.wait_metric("fake_cancel_total", cancelled + 1)
    assert quick.metric("fake_held_operations") == 1
    assert ask_reserve(quick, 102).status == 201
    assert ask_reserve(quick, 105, 1, key).headers["idempotent-replay"] == "true"


@pytest.mark.parametrize("cut", [1, 30, 120, -1])
def test_gone_inside_the_request(fake, how, cut):
    taken = fake.metric("fake_reserve_taken_total")
    for _ in range(20):
        connection = fake.connect()
        connection.send(reserve(2)[:cut])
        leave(connection, how)
    assert fake.ask("GET", "/api/concerts/1").status == 200
    assert fake.metric("fake_reserve_taken_total") == taken


def test_gone_while_the_answer_is_written(fake, how):
    for _ in range(20):
        connection = fake.connect(receive_buffer=4096)
        connection.send(make_request("GET", "/openapi.json") * 60)
        connection.sock.recv(100)
        leave(connection, how)
    assert fake.ask("GET", "/api/concerts/1").status == 200


def test_gone_before_anything(fake, how):
    for _ in range(200):
        leave(fake.connect(), how)
    assert fake.ask("GET", "/api/concerts/1").status == 200


def test_no_connection_is_left_over(fake):
    assert fake.ask("GET", "/api/concerts/1").status == 200
    fake.wait_metric("http_connections", 0)
    fake.wait_metric("fake_held_operations", 0)
    assert fake.metric("operations_submitted") == 0


# --- deadlines ----------------------------------------------------------------------------------------


def test_deadline_cancelled(quick):
    ask_reserve(quick, 104).problem(504, "timeout")


def test_deadline_lost_the_race(quick):
    """The outcome came within the grace time: it is the answer."""
    answer = ask_reserve(quick, 106, 2)
    assert answer.status == 201
    assert quick.ask("GET", answer.headers["location"]).json()["status"] == "CONFIRMED"


def test_deadline_unknown(quick):
    answer = ask_reserve(quick, 107, 2)
    problem = answer.problem(500, "unknown-outcome")
    assert answer.headers["location"] == "/api/reservations/" + problem["id"]
    assert quick.ask("GET", answer.headers["location"]).json()["quantity"] == 2


def test_deadline_and_grace_pass(quick):
    """Nobody knows yet: 500 with a Location, under which the truth is found later."""
    key = uuid.uuid4().hex
    answer = ask_reserve(quick, 105, 2, key)
    problem = answer.problem(500, "unknown-outcome")
    location = answer.headers["location"]
    assert location == "/api/reservations/" + problem["id"]
    ask_reserve(quick, 105, 2, key).problem(409, "in-progress")
    quick.ask("GET", location).problem(404)
    assert ask_reserve(quick, 102).status == 201
    assert quick.ask("GET", location).json()["status"] == "CONFIRMED"
    again = ask_reserve(quick, 105, 2, key)
    assert again.status == 201 and again.headers["location"] == location


def test_deadline_while_queued(quick):
    """Busy for longer than the deadline: nothing was submitted, nothing taken."""
    taken = quick.metric("fake_reserve_taken_total")
    ask_reserve(quick, 121, 900).problem(504, "timeout")
    assert quick.metric("fake_reserve_taken_total") == taken


def test_busy_is_only_waiting(fake):
    """Submit said busy: the request waits its turn and is then answered."""
    answer = ask_reserve(fake, 121, 50)
    assert answer.status == 201


# --- one key, more than one request at once -------------------------------------------------------------


def test_key_in_progress(fake):
    key = uuid.uuid4().hex
    with fake.connect() as connection:
        connection.send(reserve(101, 2, key))
        fake.wait_metric("fake_held_operations", 1)
        answer = ask_reserve(fake, 101, 2, key)
        answer.problem(409, "in-progress")
        assert ask_reserve(fake, 101, 3, key).status in (409, 422)
        assert ask_reserve(fake, 102).status == 201
        first = connection.read()
    assert first.status == 201 and "idempotent-replay" not in first.headers
    again = ask_reserve(fake, 101, 2, key)
    assert again.json()["id"] == first.json()["id"]
    assert again.headers["idempotent-replay"] == "true"


def test_key_pipelined_twice(fake):
    key = uuid.uuid4().hex
    with fake.connect() as connection:
        connection.send(reserve(100, 20, key) * 2)
        first, second = connection.read(), connection.read()
    assert first.status == 201
    assert second.status in (201, 409)


# --- what each outcome is answered with -------------------------------------------------------------------

OUTCOMES = {
    112: (409, "sold-out"),
    113: (409, "member-limit"),
    114: (409, "contended"),
    115: (504, "timeout"),
    116: (503, "unavailable"),
    117: (500, "unknown-outcome"),
    118: (404, "unknown-concert"),
    119: (404, "unknown-member"),
    120: (422, "key-reused"),
}


@pytest.mark.parametrize("concert_id", OUTCOMES)
def test_outcome(fake, concert_id):
    status, slug = OUTCOMES[concert_id]
    answer = ask_reserve(fake, concert_id)
    problem = answer.problem(status, slug)
    if slug in ("contended", "unavailable"):
        assert int(answer.headers["retry-after"]) > 0
    else:
        assert "retry-after" not in answer.headers
    if slug == "unknown-outcome":
        assert answer.headers["location"] == "/api/reservations/" + problem["id"]
    else:
        assert "location" not in answer.headers


@pytest.mark.parametrize(("concert_id", "status", "word"), [(110, 201, "CONFIRMED"), (111, 202, "PENDING")])
def test_outcome_granted(fake, concert_id, status, word):
    key = uuid.uuid4().hex
    answer = ask_reserve(fake, concert_id, 2, key)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body == {"id": body["id"], "concertId": concert_id, "memberId": 1, "quantity": 2, "status": word}
    assert answer.headers["location"] == "/api/reservations/" + body["id"]
    assert uuid.UUID(body["id"]).version == 5
    again = ask_reserve(fake, concert_id, 2, key)
    assert again.status == status and again.json() == body
    assert again.headers["idempotent-replay"] == "true"
    assert "idempotent-replay" not in answer.headers
    ask_reserve(fake, concert_id, 3, key).problem(422, "key-reused")
