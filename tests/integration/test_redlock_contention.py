"""Several resvd want the same lock: each gets its share, waiters wake by message and by timer, and who
is told to stop leaves no lock behind. On real MariaDB and Redis.
"""

from __future__ import annotations

import signal
import time

import pytest
from database_fixtures import require_strategy, reserve, timed
from raw_http import make_request
from redis_nodes import FOREIGN, LOCK_NODES, LockNodes
from resvd_process import wait_until

ROOM = {"concerts": 1, "capacity": 1_000_000, "members": 20}
PATIENT = {"server__operation_timeout_ms": 20000, "strategy__redlock__wait_ms": 15000}
PURCHASE = make_request("POST", "/api/reservations", {"concertId": 1, "memberId": 1})


@pytest.fixture(autouse=True, scope="module")
def needs_redlock():
    require_strategy("redlock")


def sell_for(server, seconds: float) -> list[tuple[int, float]]:
    """One client, one request after the other: the statuses, and how long each took."""
    answers = []
    give_up = time.monotonic() + seconds
    with server.connect() as connection:
        while time.monotonic() < give_up:
            began = time.monotonic()
            connection.send(PURCHASE)
            answers.append((connection.read().status, time.monotonic() - began))
    return answers


def sell_together(servers, background, seconds: float, clients: int = 4) -> list[list]:
    """By server: all answers of its clients."""
    sellers = [[background(sell_for, server, seconds) for _ in range(clients)] for server in servers]
    return [[answer for seller in sellers_here for answer in seller.result()] for sellers_here in sellers]


# --- sharing --------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 3])
def test_nobody_starves(database, lock_nodes, serve, background, lock_kind, count):
    """Each sells at least a fifth of an equal share, whatever the others do."""
    servers = [serve(database, lock_kind, reset=ROOM if i == 0 else None, **PATIENT) for i in range(count)]
    answers = sell_together(servers, background, 2.0)
    granted = [sum(status == 201 for status, _ in here) for here in answers]
    slowest_s = max(took for here in answers for _, took in here)
    print(f"{lock_kind}: {granted} sold, slowest answer {slowest_s * 1000:.0f} ms")
    assert {status for here in answers for status, _ in here} == {201}
    assert min(granted) * count * 5 >= sum(granted) > 20, granted
    assert len(database.rows()) == sum(granted)
    database.check()
    lock_nodes.wait_until_no_keys(database)
    for server in servers:
        assert server.metric("operations_submitted") == 0


def test_waiters_are_served_in_order(database, lock_nodes, serve, lock_kind):
    """First in, first out inside a process, also while the lock is another's."""
    server = serve(database, lock_kind, reset={"concerts": 1, "capacity": 12, "members": 20}, **PATIENT)
    assert lock_nodes.take(database, lease_ms=10000) == len(lock_nodes.nodes)
    with server.connect() as connection:
        for member in range(1, 16):
            connection.send(make_request("POST", "/api/reservations",
                                         {"concertId": 1, "memberId": member}))
        wait_until(lambda: server.metric("operations_submitted") == 15, "all wait")
        lock_nodes.let_go(database)
        statuses = [connection.read().status for _ in range(15)]
    assert statuses == [201] * 12 + [409] * 3
    database.check()


def test_concerts_do_not_wait_for_each_other(database, lock_nodes, serve, lock_kind):
    server = serve(database, lock_kind)
    assert lock_nodes.take(database, concert_id=1, lease_ms=10000) == len(lock_nodes.nodes)
    with server.connect() as waiting:
        waiting.send(PURCHASE)
        wait_until(lambda: server.metric("operations_submitted") == 1, "it waits")
        answer, seconds = timed(reserve, server, 2)
        assert answer.status == 201 and seconds < 4  # the other waits for 10
        lock_nodes.let_go(database, 1)
        assert waiting.read().status == 201


def test_majority_decides(nodes, database, serve):
    """One node of three that another has is no matter; two are."""
    server = serve(database, "redlock", strategy__redlock__wait_ms=400)
    for number in range(3):
        assert LockNodes([nodes[number]]).take(database) == 1
        assert reserve(server, key=f"one-{number}").status == 201
        # A lock is let go while its last sale is answered, not before.
        second = LockNodes([nodes[(number + 1) % 3]])
        wait_until(lambda: second.take(database) == 1, "the lock was let go", pause_s=0.005)
        reserve(server).problem(409, "contended")
        nodes.let_go(database)
    assert len(database.rows()) == 3
    nodes.wait_until_no_keys(database)


# --- waiting and waking ---------------------------------------------------------------------------


def test_wait_is_bounded(database, lock_nodes, serve, background, lock_kind):
    """409 with Retry-After when the lock was not had in time; nothing is taken, nothing is left."""
    server = serve(database, lock_kind, strategy__redlock__wait_ms=500)
    assert lock_nodes.take(database, lease_ms=30000) == len(lock_nodes.nodes)
    waiting = [background(timed, reserve, server, 1, 1 + i) for i in range(20)]
    for each in waiting:
        answer, seconds = each.result()
        answer.problem(409, "contended")
        assert int(answer.headers["retry-after"]) > 0
        assert 0.45 < seconds < 1.9, seconds  # the default is 2
    lock_nodes.let_go(database)
    assert database.rows() == {}
    assert reserve(server).status == 201
    lock_nodes.wait_until_no_keys(database)


@pytest.mark.parametrize("lock_kind", ["redlock"])
def test_default_wait(database, lock_nodes, serve, lock_kind):
    server = serve(database, lock_kind)
    assert lock_nodes.take(database, lease_ms=30000) == len(lock_nodes.nodes)
    answer, seconds = timed(reserve, server)
    answer.problem(409, "contended")
    assert 1.9 < seconds < 4, seconds  # an operation may take 5
    lock_nodes.let_go(database)


def test_woken_by_a_message(database, lock_nodes, serve, background, lock_kind):
    """Where the timer alone would take a second or more."""
    server = serve(database, lock_kind, strategy__redlock__retry_delay_ms=3000, **PATIENT)
    quick = 0
    for _ in range(4):
        lock_nodes.wait_until_no_keys(database)
        assert lock_nodes.take(database, lease_ms=30000) == len(lock_nodes.nodes)
        answer = background(reserve, server)
        time.sleep(0.15)
        wait_until(lambda: lock_nodes.is_listened_for(database), "it listens")
        lock_nodes.let_go(database)
        _, seconds = timed(answer.result)
        assert answer.result().status == 201
        quick += seconds < 0.8
    assert quick >= 3, quick
    assert len(database.rows()) == 4


@pytest.mark.parametrize("how", ["expiry", "silently"])
def test_woken_by_the_timer(database, lock_nodes, serve, background, lock_kind, how):
    """A lock that expires, or is deleted by hand, tells nobody."""
    server = serve(database, lock_kind, strategy__redlock__hold_ms=700, **PATIENT)
    for _ in range(2):
        lock_nodes.wait_until_no_keys(database)
        assert lock_nodes.take(database, lease_ms=400 if how == "expiry" else 30000) == len(lock_nodes.nodes)
        answer = background(reserve, server)
        time.sleep(0.3)
        if how == "silently":
            lock_nodes.let_go(database, publish=False)
        _, seconds = timed(lock_nodes.wait_until_held, database, but=FOREIGN)
        assert seconds < 3, seconds  # it may wait for 15
        assert answer.result().status == 201
    assert len(database.rows()) == 2


def test_channels_lost_all_the_time(own_nodes, database, serve, background, lock_kind):
    """CLIENT KILL TYPE pubsub again and again: waiters wake by the timer, and all are sold to."""
    own_nodes = own_nodes.first(LOCK_NODES[lock_kind])
    lock = own_nodes.options()
    servers = [serve(database, lock_kind, reset=ROOM if i == 0 else None, **lock, **PATIENT)
               for i in range(2)]
    with own_nodes.killing_subscribers() as killed:
        answers = sell_together(servers, background, 2.0)
    granted = [sum(status == 201 for status, _ in here) for here in answers]
    print(f"{lock_kind}: {granted} sold while {killed[0]} connections were killed, slowest "
          f"{max(took for here in answers for _, took in here) * 1000:.0f} ms")
    assert killed[0] > 10
    assert {status for here in answers for status, _ in here} == {201}
    assert min(granted) > 0 and sum(granted) > 20
    assert len(database.rows()) == sum(granted)
    database.check()
    # They listen again.
    own_nodes.wait_until_no_keys(database)
    assert own_nodes.take(database, lease_ms=30000) == len(own_nodes.nodes)
    answer = background(reserve, servers[0])
    wait_until(lambda: own_nodes.connections("pubsub") >= 1, "it listens")
    own_nodes.let_go(database)
    assert answer.result().status == 201


# --- stopping -------------------------------------------------------------------------------------


def test_term_with_waiters(database, lock_nodes, serve, lock_kind):
    """All that wait are served, one lock after the other; no lock is left."""
    server = serve(database, lock_kind, strategy__redlock__hold_ms=20, **PATIENT)
    connections = [server.connect() for _ in range(20)]
    for connection in connections:
        connection.send(PURCHASE)
    wait_until(lambda: server.metric("operations_submitted") > 10, "they wait", pause_s=0.002)
    server.signal(signal.SIGTERM)
    answers = [answer for connection in connections for answer in connection.read_until_closed()]
    assert server.wait_exit() == 0
    assert {answer.json()["id"] for answer in answers if answer.status == 201} == set(database.rows())
    assert [answer.status for answer in answers] == [201] * 20
    assert lock_nodes.keys(database) == []
    database.check()
    for connection in connections:
        connection.sock.close()


def test_term_while_the_lock_is_held_by_another(database, lock_nodes, serve, lock_kind):
    """There is no way to serve those who wait: refused, in time."""
    server = serve(database, lock_kind, server__drain_timeout_ms=600, **PATIENT)
    assert lock_nodes.take(database, lease_ms=30000) == len(lock_nodes.nodes)
    connections = [server.connect() for _ in range(5)]
    for connection in connections:
        connection.send(PURCHASE)
    wait_until(lambda: server.metric("operations_submitted") == 5, "they wait")
    began = time.monotonic()
    server.signal(signal.SIGTERM)
    for connection in connections:
        for answer in connection.read_until_closed():
            assert answer.status in (409, 503, 504), answer.raw
        connection.sock.close()
    assert server.wait_exit() in (0, 1)
    assert time.monotonic() - began < 8  # they may wait for 15
    assert database.rows() == {}
    # The lock of another is still there, and only that.
    assert len(lock_nodes.keys(database)) == len(lock_nodes.nodes)
    lock_nodes.let_go(database)


def test_killed_with_a_lock(database, lock_nodes, serve, background, lock_kind):
    """kill -9 of a holder: the next one waits for the lease at most."""
    lease = {"strategy__redlock__lease_ms": 1000}
    holder = serve(database, lock_kind, strategy__redlock__hold_ms=5000, **lease, **PATIENT)
    other = serve(database, lock_kind, reset=None, **lease, **PATIENT)
    with holder.connect() as connection:
        connection.send(PURCHASE)
        lock_nodes.wait_until_held(database)
        time.sleep(0.1)
        holder.kill()
        answer, seconds = timed(reserve, other)
    assert answer.status == 201
    assert seconds < 4, seconds  # the holder would hold it for 5
    assert set(database.rows()) == {answer.json()["id"]}
    database.check()


def test_client_gone_while_waiting(database, lock_nodes, serve, lock_kind):
    """Those who have left still get their seat or none; the line goes on."""
    server = serve(database, lock_kind, **PATIENT)
    assert lock_nodes.take(database, lease_ms=30000) == len(lock_nodes.nodes)
    for _ in range(5):
        with server.connect() as connection:
            connection.send(PURCHASE)
            time.sleep(0.02)
    lock_nodes.let_go(database)
    assert reserve(server).status == 201
    wait_until(lambda: server.metric("operations_submitted") == 0, "all is done")
    assert 1 <= len(database.rows()) <= 6
    database.check()
    lock_nodes.wait_until_no_keys(database)
