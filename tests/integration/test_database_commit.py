"""The connection to MariaDB is lost before, during and after COMMIT: every answer is true.

201: there is exactly one row. 409, 503, 504: there is none, now and later. 500: whatever there is, the
same key finds out. A proxy loses the connections at the moments wanted.
"""

from __future__ import annotations

import signal
import time

import pytest
from database_fixtures import HONEST, check_refusal, reserve, reserve_at_last, wait_until
from database_proxy import DatabaseProxy, is_decisive, is_statement
from raw_http import make_request

RESOLVED = "database_commits_resolved_total"
SHORT = {"server__operation_timeout_ms": 1000, "server__operation_grace_ms": 1000}


@pytest.fixture
def proxy(mariadb):
    with DatabaseProxy(mariadb.port) as proxy:
        yield proxy


@pytest.fixture
def server(database, proxy, serve, kind):
    return serve(database, kind, link={"port": proxy.port, "statement_timeout_ms": 500})


def check_granted(server, database, answer, quantity: int = 1) -> None:
    """One row, that of the answer; the same key gives the same answer."""
    assert answer.status == 201, answer.raw
    again = reserve(server, key="once", quantity=quantity)
    assert again.status == 201 and again.headers["idempotent-replay"] == "true"
    assert again.json() == answer.json()
    assert set(database.rows()) == {answer.json()["id"]}
    assert database.concerts()[0] == (1, 100, quantity)
    database.check()


@pytest.mark.parametrize("action", ["cut", "lose_answer", "hold_answer"])
def test_connection_lost_at_commit(server, database, proxy, action):
    """The server can be reached again at once: found out, and granted, once."""
    proxy.arm(action)
    answer = reserve(server, key="once", quantity=3)
    assert len(proxy.hits) == 1
    assert "idempotent-replay" not in answer.headers
    check_granted(server, database, answer, 3)
    assert server.metric(RESOLVED) == 1


@pytest.mark.parametrize("action", ["cut", "lose_answer", "hold_answer"])
def test_connection_lost_at_commit_three_times(server, database, proxy, action):
    proxy.arm(action, times=3)
    answer = reserve(server, key="once", quantity=2)
    assert len(proxy.hits) >= (3 if action == "cut" else 1)
    proxy.arm(None)
    check_granted(server, database, answer, 2)


def test_commit_that_arrives_late(server, database, proxy):
    """resvd has lost the connection, the network still holds the packet and delivers it later."""
    proxy.arm("late", delay_s=1.0)
    answer = reserve(server, key="once")
    check_granted(server, database, answer)
    time.sleep(1.3)
    check_granted(server, database, answer)


def test_commit_that_stalls(server, database, proxy):
    """Longer than the statement's deadline; then it goes on to the server."""
    proxy.arm("stall", delay_s=1.5)
    answer = reserve(server, key="once")
    check_granted(server, database, answer)
    time.sleep(1.3)
    check_granted(server, database, answer)


# Every one on one of them; and on each the one that leaves a row.
SOME = [("grouped", "cut"), ("grouped", "late"), *((kind, "lose_answer") for kind in HONEST)]


@pytest.mark.parametrize(("kind", "action"), SOME)
def test_commit_lost_and_the_server_out_of_reach(database, proxy, serve, kind, action):
    """It cannot be found out in time: the answer says so, and the same key finds out later."""
    server = serve(database, kind, link={"port": proxy.port, "statement_timeout_ms": 500}, **SHORT)
    proxy.arm(action, delay_s=4.0, unreachable=True)
    began = time.monotonic()
    answer = reserve(server, key="once")
    assert time.monotonic() - began < 3.9  # it has 2
    problem = answer.problem(500, "unknown-outcome")
    location = answer.headers["location"]
    assert location == "/api/reservations/" + problem["id"]
    if action == "late":
        time.sleep(max(0.0, began + 4.5 - time.monotonic()))
    maybe = database.rows()
    assert len(maybe) == {"cut": 0, "lose_answer": 1}.get(action, len(maybe))
    proxy.refusing = False
    wait_until(lambda: server.admin("GET", "/readyz").status == 200, "the database is back", 15)
    again = reserve_at_last(server, key="once")
    assert again.status == 201 and again.headers["location"] == location
    check_granted(server, database, again)


@pytest.mark.parametrize("when", ["cut", "lose_answer", "late"])
def test_connection_lost_at_each_statement(server, database, proxy, when):
    """At the first packet of a reservation, the second, … until none is left to lose."""
    for number in range(20):
        key = f"step-{number}"
        proxy.arm(when, matching=is_statement, skip=number, delay_s=0.3)
        answer = reserve(server, 2, 1, 1, key)
        touched = len(proxy.hits)
        proxy.arm(None)
        assert answer.status == 201, (number, answer.raw)
        again = reserve(server, 2, 1, 1, key)
        assert again.json() == answer.json() and "idempotent-replay" in again.headers
        assert len(database.rows()) == number + 1
        if touched == 0:
            break
    else:
        raise AssertionError("never was a reservation left alone")
    time.sleep(0.4)
    assert len(database.rows()) == number + 1
    database.check()


@pytest.mark.parametrize("action", ["cut", "lose_answer", "late"])
def test_many_in_flight(server, database, proxy, background, action):
    """Of many at once, on one concert and on several, each is answered as is true."""
    proxy.arm(action, times=6, delay_s=0.5)
    answers = [background(reserve, server, 1 + i % 3, 1 + i % 20, 1 + i % 2, f"many-{i}")
               for i in range(60)]
    answers = [answer.result() for answer in answers]
    assert len(proxy.hits) == 6 or action != "cut"
    time.sleep(0.7)
    granted = {answer.json()["id"] for answer in answers if answer.status == 201}
    assert len(granted) == sum(answer.status == 201 for answer in answers)
    for answer in answers:
        if answer.status not in (201, 500):
            check_refusal(answer)
    unknown = {answer.json()["id"] for answer in answers if answer.status == 500}
    rows = set(database.rows())
    assert granted <= rows <= granted | unknown
    assert len(granted) >= 54
    database.check()


@pytest.mark.parametrize("key", [None, "last"])
def test_last_seat_lost_and_found(server, database, proxy, key):
    """The answer to the COMMIT that took the last seats is lost: whoever took them is told so."""
    assert reserve(server, quantity=98).status == 201
    proxy.arm("lose_answer")
    answer = reserve(server, key=key, quantity=2)
    assert answer.status == 201, answer.raw
    assert len(proxy.hits) == 1
    reserve(server).problem(409, "sold-out")
    if key:
        again = reserve(server, key=key, quantity=2)
        assert again.status == 201 and again.json() == answer.json()
    assert len(database.rows()) == 2
    database.check()


@pytest.mark.parametrize("kind", ["procedure", "grouped"])
def test_refused_is_refused(database, proxy, serve, kind):
    """What was sent before a refusal, and arrives when there are seats again, changes nothing."""
    direct = serve(database, "pessimistic")
    location = reserve(direct, quantity=100).headers["location"]
    server = serve(database, kind, reset=None, link={"port": proxy.port})
    proxy.arm("late", delay_s=0.7)
    reserve(server, quantity=2).problem(409, "sold-out")
    assert len(proxy.hits) == 1
    assert direct.ask("DELETE", location).status == 204
    time.sleep(1.0)
    assert database.concerts()[0] == (1, 100, 0)
    assert len(database.rows()) == 1
    database.check()


@pytest.mark.parametrize(("kind", "action"), SOME)
def test_told_to_stop_while_in_doubt(database, proxy, serve, kind, action):
    """There is no time left to find out: 500, not a refusal, before the connection closes."""
    server = serve(database, kind, link={"port": proxy.port}, server__drain_timeout_ms=300)
    proxy.arm(action, unreachable=True, delay_s=10)
    with server.connect() as connection:
        connection.send(make_request("POST", "/api/reservations", {"concertId": 1, "memberId": 1}))
        wait_until(lambda: proxy.hits, "the connection is lost")
        time.sleep(0.1)
        server.signal(signal.SIGTERM)
        answer = connection.read()
    problem = answer.problem(500, "unknown-outcome")
    assert answer.headers["location"] == "/api/reservations/" + problem["id"]
    assert server.wait_exit() == 1  # it says that it had to cut something short
    assert set(database.rows()) == ({problem["id"]} if action == "lose_answer" else set())


def test_sold_out_meanwhile(database, proxy, serve, kind, background):
    """Cut before COMMIT, and others take the seats before it is tried again: either is true."""
    server = serve(database, kind, link={"port": proxy.port})
    direct = serve(database, "pessimistic", reset=None)
    assert reserve(direct, quantity=99).status == 201
    proxy.arm("cut")
    answer = background(reserve, server, key="last")
    wait_until(lambda: proxy.hits, "the connection is cut")
    other = reserve(direct, key="other")
    statuses = sorted([answer.result().status, other.status])
    assert statuses == [201, 409], statuses
    assert len(database.rows()) == 2
    database.check()


@pytest.mark.parametrize("action", ["cut", "lose_answer", "hold_answer", "late"])
def test_release_lost_at_commit(server, database, proxy, action):
    location = reserve(server, quantity=5).headers["location"]
    assert reserve(server, quantity=4).status == 201
    proxy.arm(action, delay_s=0.5)
    answer = server.ask("DELETE", location)
    assert answer.status == 204, answer.raw
    assert len(proxy.hits) == 1
    time.sleep(0.7 if action == "late" else 0)
    assert server.ask("GET", location).json()["status"] == "CANCELLED"
    assert database.concerts()[0] == (1, 100, 4)
    assert server.ask("DELETE", location).status == 204
    assert database.concerts()[0] == (1, 100, 4)
    database.check()


@pytest.mark.parametrize("action", ["cut", "lose_answer"])
def test_catalog_write_lost_at_commit(server, database, proxy, action):
    """Concerts are made whole or not at all, and 201 is said of what is there only."""

    def writes(payload: bytes) -> bool:
        return is_decisive(payload) or (is_statement(payload) and b"INSERT" in payload.upper())

    proxy.arm(action, matching=writes)
    answer = server.admin("POST", "/admin/concerts", [{"title": f"c{i}", "capacity": 5} for i in range(30)])
    proxy.arm(None)
    made = database.number("SELECT COUNT(*) FROM concerts WHERE capacity = 5")
    assert made in (0, 30)
    if answer.status == 201:
        assert made == 30 and len(answer.json()) == 30
    elif answer.status != 500:
        answer.problem(503, "unavailable")
        assert made == 0
    assert server.ask("GET", "/api/concerts?limit=100").status == 200
    assert server.audit()["consistent"] is True


def test_lookup_on_a_lost_connection(server, proxy):
    """Reads have changed nothing: they are tried again or refused, never answered untruly."""
    reservation = reserve(server).json()
    for _ in range(5):
        proxy.cut_all()
        for target in (f"/api/reservations/{reservation['id']}", "/api/concerts/1", "/api/members/1"):
            answer = server.ask("GET", target)
            if answer.status != 200:
                answer.problem(503, "unavailable")
    wait_until(lambda: server.ask("GET", "/api/concerts/1").json().get("sold") == 1, "it is back")


def test_all_connections_lost_while_idle(server, database, proxy):
    """Idle sessions that the server or the network closed are no reason to refuse anybody."""
    for number in range(3):
        assert reserve(server, key=f"k-{number}").status == 201
        proxy.cut_all()
        time.sleep(0.05)
        answer = reserve(server, key=f"later-{number}")
        assert answer.status in (201, 503), answer.raw
        wait_until(lambda: server.admin("GET", "/readyz").status == 200, "it is back")
        wait_until(lambda: reserve(server, key=f"later-{number}").status == 201, "it sells again")
    assert len(database.rows()) == 6
    database.check()
