"""What only an asynchronous strategy answers, on a fake one: no Redis, no Kafka, no waiting for luck.

The fake's consumer pauses and goes on when it is asked to (tests/fake/fake_strategy.c).
"""

from __future__ import annotations

import os
import re
import socket
import subprocess

import pytest
from resvd_fixtures import finish, starter
from resvd_process import child_environment, find_binary, run_resvd, wait_until
from test_openapi import check_answer

PAUSE, GO_ON, DRIFT, REJECTED, DEAD_LETTER = 127, 128, 129, 130, 131
LINE = {"id": 1, "capacity": 100, "sold": 0, "live": 0, "stock": 100, "pending": 0, "consistent": True}


@pytest.fixture(scope="module")
def shared(request, tmp_path_factory):
    function, servers = starter(request, tmp_path_factory)
    yield function(binary="resvd-fake", strategy="fake_async", server__allow_reset="on",
                   server__study_api="on")
    finish(request.session, servers)


@pytest.fixture
def server(shared):
    """10 concerts of 100 seats, 20 members; the consumer works."""
    script(shared, GO_ON)
    shared.reset()
    yield shared
    script(shared, GO_ON)
    wait_until(lambda: pending(shared) == 0, "the consumer has applied everything")
    assert shared.audit()["consistent"] is True


@pytest.fixture(scope="module")
def document(shared):
    return shared.ask("GET", "/openapi.json").json()


def script(server, number: int, quantity: int = 1) -> None:
    assert server.ask("POST", "/api/reservations",
                      {"concertId": number, "memberId": 1, "quantity": quantity}).status == 201


def pending(server) -> int:
    return sum(line["pending"] for line in server.audit()["concerts"])


def line_of(server, concert: int = 1) -> dict:
    return next(line for line in server.audit()["concerts"] if line["id"] == concert)


def status_of(server, location: str) -> str:
    return server.ask("GET", location).json()["status"]


def reserve(server, concert: int = 1, quantity: int = 1, key: str | None = None,
            path: str = "/api/reservations"):
    headers = {"Idempotency-Key": key} if key else None
    body = {"concertId": concert, "memberId": 7, "quantity": quantity}
    return server.ask("POST", path, body, headers)


@pytest.mark.parametrize("path", ["/api/reservations", "/api/reservations/async"])
def test_accepted_then_confirmed(server, document, path):
    script(server, PAUSE)
    made = reserve(server, quantity=2, path=path)
    check_answer(document, path, "post", made)
    assert made.status == 202
    body = made.json()
    assert made.headers["location"] == f"/api/reservations/{body['id']}"
    expected = {"id": body["id"], "concertId": 1, "memberId": 7, "quantity": 2, "status": "PENDING"}
    if path.endswith("/async"):
        expected["requestId"] = body["id"]
    assert body == expected
    assert "idempotent-replay" not in made.headers
    location = made.headers["location"]
    found = server.ask("GET", location)
    check_answer(document, "/api/reservations/{id}", "get", found)
    assert found.json()["status"] == "PENDING"
    assert line_of(server) == {**LINE, "stock": 98, "pending": 2}
    assert server.ask("GET", "/api/concerts/1").json()["sold"] == 0
    script(server, GO_ON)
    wait_until(lambda: status_of(server, location) == "CONFIRMED", "the row")
    assert line_of(server) == {**LINE, "sold": 2, "live": 2, "stock": 98}
    assert server.ask("GET", "/api/concerts/1").json()["sold"] == 2


def test_study_request(server):
    script(server, PAUSE)
    made = reserve(server, concert=4, path="/api/reservations/async").json()
    request = server.ask("GET", f"/api/reservations/request/{made['requestId']}")
    wanted = {"requestId": made["id"], "reservationId": made["id"], "concertId": 4, "memberId": 7,
              "status": "PENDING"}
    assert (request.status, request.json()) == (200, wanted)
    script(server, GO_ON)
    target = f"/api/reservations/request/{made['requestId']}"
    wait_until(lambda: status_of(server, target) == "CONFIRMED", "the row")
    server.ask("GET", "/api/reservations/request/018f0000-0000-7000-8000-000000000000").problem(404)


def test_replay_has_the_same_answer_and_the_status_of_now(server):
    script(server, PAUSE)
    first = reserve(server, quantity=3, key="replayed")
    assert first.status == 202
    location = first.headers["location"]

    def again(status: str) -> None:
        answer = reserve(server, quantity=3, key="replayed")
        assert answer.status == 202
        assert answer.headers["location"] == location
        assert answer.headers["idempotent-replay"] == "true"
        assert answer.json() == {**first.json(), "status": status}
        reserve(server, quantity=4, key="replayed").problem(422, "key-reused")
        reserve(server, concert=2, quantity=3, key="replayed").problem(422, "key-reused")

    again("PENDING")
    script(server, GO_ON)
    wait_until(lambda: status_of(server, location) == "CONFIRMED", "the row")
    again("CONFIRMED")
    assert server.ask("DELETE", location).status == 202
    wait_until(lambda: status_of(server, location) == "CANCELLED", "the row")
    again("CANCELLED")
    assert line_of(server) == LINE


def test_release(server, document):
    made = reserve(server, quantity=5)
    location, identity = made.headers["location"], made.json()["id"]
    wait_until(lambda: status_of(server, location) == "CONFIRMED", "the row")
    script(server, PAUSE)
    for _ in range(2):
        answer = server.ask("DELETE", location)
        check_answer(document, "/api/reservations/{id}", "delete", answer)
        assert (answer.status, answer.json()) == (202, {"id": identity})
        assert answer.headers["location"] == location
    assert status_of(server, location) == "CONFIRMED"
    script(server, GO_ON)
    wait_until(lambda: status_of(server, location) == "CANCELLED", "the row")
    assert server.ask("DELETE", location).status == 204
    assert line_of(server) == LINE
    server.ask("DELETE", "/api/reservations/018f0000-0000-7000-8000-000000000000").problem(404)


def test_pending_seats_are_not_sold_again(server):
    script(server, PAUSE)
    for _ in range(4):
        assert reserve(server, quantity=25).status == 202
    reserve(server).problem(409, "sold-out")
    assert line_of(server) == {**LINE, "stock": 0, "pending": 100}
    server.admin("PUT", "/admin/concerts/1", {"capacity": 99}).problem(409, "capacity-too-low")
    script(server, GO_ON)
    wait_until(lambda: pending(server) == 0, "the rows")
    assert line_of(server) == {**LINE, "sold": 100, "live": 100, "stock": 0}


def test_rejected_is_said_so(server):
    made = reserve(server, concert=REJECTED)
    assert (made.status, made.json()["status"]) == (202, "PENDING")
    location = made.headers["location"]
    wait_until(lambda: status_of(server, location) == "REJECTED", "the row")
    assert server.ask("DELETE", location).status == 204
    assert status_of(server, location) == "REJECTED"


def test_reconcile(server, document):
    path = "/admin/concerts/{id}/reconcile"
    assert reserve(server, quantity=10).status == 202
    wait_until(lambda: pending(server) == 0, "the row")
    script(server, DRIFT, 5)
    wrong = {**LINE, "sold": 10, "live": 10, "stock": 85, "consistent": False}
    assert line_of(server) == wrong
    assert server.audit()["consistent"] is False
    answer = server.admin("POST", "/admin/concerts/1/reconcile")
    check_answer(document, path, "post", answer)
    right = {**wrong, "stock": 90, "consistent": True}
    assert (answer.status, answer.json()) == (200, right)
    assert line_of(server) == right
    for concert in ("11", "0", "x", "9007199254740992"):
        answer = server.admin("POST", f"/admin/concerts/{concert}/reconcile")
        check_answer(document, path, "post", answer)
        assert answer.problem(404, "not-found")["detail"] == "There is no concert with this id."


def test_dead_letters(server, document):
    path, retry = "/admin/dead-letters", "/admin/dead-letters/{id}/retry"
    empty = server.admin("GET", path)
    check_answer(document, path, "get", empty)
    assert empty.json() == {"items": [], "nextCursor": None}
    locations = [reserve(server, concert=DEAD_LETTER, quantity=1 + i).headers["location"] for i in range(3)]
    for location in locations:
        wait_until(lambda at=location: status_of(server, at) == "REJECTED", "the dead letter")
    items, cursor = [], ""
    while cursor is not None:
        page = server.admin("GET", f"{path}?limit=1{cursor and '&cursor=' + cursor}")
        check_answer(document, path, "get", page)
        items += page.json()["items"]
        cursor = page.json()["nextCursor"]
    assert items == server.admin("GET", path).json()["items"]
    assert [item["event"] for item in items] == [f"reserve 131 7 {1 + i}" for i in range(3)]
    for item in items:
        assert item["concertId"] == DEAD_LETTER and item["reason"] == "scripted"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", item["failedAt"])
    head = server.admin("HEAD", path)
    assert (head.status, head.body) == (200, b"")
    again = server.admin("POST", f"{path}/{items[1]['id']}/retry")
    check_answer(document, retry, "post", again)
    assert (again.status, again.json()) == (202, {"id": items[1]["id"]})
    wait_until(lambda: status_of(server, locations[1]) == "CONFIRMED", "the row")
    assert status_of(server, locations[0]) == status_of(server, locations[2]) == "REJECTED"
    assert server.admin("GET", path).json()["items"] == [items[0], items[2]]
    for letter in (items[1]["id"], "7-0", "x", "0-00"):
        answer = server.admin("POST", f"{path}/{letter}/retry")
        check_answer(document, retry, "post", answer)
        assert answer.problem(404, "not-found")["detail"] == "There is no dead letter with this id."
    for query in ("limit=0", "limit=1001", "cursor=0-1", "cursor=d1.0"):
        answer = server.admin("GET", f"{path}?{query}")
        check_answer(document, path, "get", answer)
        answer.problem(422, "invalid-fields")


def test_other_strategies_have_none_of_it(start_fake):
    fake = start_fake()
    for call, method, target in (
        (fake.admin, "GET", "/admin/dead-letters"),
        (fake.admin, "GET", "/admin/dead-letters?limit=0"),
        (fake.admin, "POST", "/admin/dead-letters/0-1/retry"),
        (fake.admin, "POST", "/admin/dead-letters/x/retry"),
        (fake.admin, "POST", "/admin/concerts/1/reconcile"),
    ):
        detail = call(method, target).problem(404, "async-only")["detail"]
        assert detail == "This path exists only while the strategy is async."
    assert "stock" not in fake.audit()["concerts"][0] and "pending" not in fake.audit()["concerts"][0]


def test_role_consumer_opens_only_the_admin_listener(start):
    server = start(binary="resvd-fake", strategy="fake_async", arguments=["--role=consumer"])
    with pytest.raises(ConnectionRefusedError):
        server.connect()
    assert server.admin("GET", "/readyz?verbose").status == 200
    assert server.admin("GET", "/livez").status == 200
    assert server.audit()["consistent"] is True
    assert server.admin("GET", "/admin/dead-letters").json()["items"] == []
    assert server.admin("POST", "/admin/concerts/1/reconcile").status == 200
    assert server.metric("http_connections") == 0
    assert re.search(r"event=ready .*role=consumer", server.log())
    assert server.stop() == 0
    assert re.search(r"event=stopped", server.log())


def test_role_api_does_not_consume(start):
    server = start(binary="resvd-fake", strategy="fake_async", server__role="api")
    location = reserve(server).headers["location"]
    assert reserve(server).status == 202
    assert [status_of(server, location) for _ in range(50)] == ["PENDING"] * 50
    assert line_of(server)["pending"] == 2


def test_a_consumer_listens_where_others_may_not(start):
    """Its API address is not opened, and so needs no keys."""
    server = start(binary="resvd-fake", strategy="fake_async", server__role="consumer",
                   server__listen="0.0.0.0:0")
    assert server.audit()["consistent"] is True
    result = run_resvd("--strategy=fake_async", "--server.listen=0.0.0.0:0", "--check-config",
                       binary="resvd-fake")
    assert result.returncode == 78 and "api_keys" in result.stderr


def test_a_consumer_takes_no_socket_of_the_api(tmp_path):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        # LISTEN_PID must be the server's own: a shell sets it and becomes the server.
        result = subprocess.run(
            ["sh", "-c", 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"', "sh", str(find_binary("resvd-fake")),
             "--strategy=fake_async", "--role=consumer", "--server.admin_listen=127.0.0.1:0"],
            cwd=tmp_path, env=child_environment(None), preexec_fn=lambda: os.dup2(listener.fileno(), 3),
            pass_fds=(3,), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20,
            check=False)
    assert result.returncode == 78, result.stderr
    assert "systemd socket 3 is for the API, which [server] role = consumer does not serve" in result.stderr


@pytest.mark.parametrize("arguments, words", [
    (["--strategy=fake", "--role=consumer"], "strategy 'fake' has no work to share out"),
    (["--strategy=fake", "--role=api"], "[server] role = api"),
    (["--strategy=embedded", "--server.role=consumer"], "'embedded' has no work to share out"),
    (["--strategy=fake_async", "--role=consumer", "--demo"], "--demo"),
    (["--strategy=fake_async", "--role=both"], "all"),
])
def test_roles_that_are_wrong(arguments, words):
    for more in ([], ["--check-config"]):
        result = run_resvd(*arguments, *more, binary="resvd-fake")
        assert result.returncode == 78, result.stderr
        assert words in result.stderr
        assert "role" in result.stderr


def test_role_all_is_for_every_strategy(start_fake):
    fake = start_fake(server__role="all")
    assert fake.ask("GET", "/api/concerts/1").status == 200

