"""Lock nodes are killed, paused or cut off and come back, while resvd sells: with a majority it goes on,
without one it refuses at once, and it needs no restart. On real MariaDB and Redis.
"""

from __future__ import annotations

import time
from contextlib import contextmanager

import pytest
from database_fixtures import check_refusal, require_strategy, reserve, reserve_at_last, timed
from raw_http import make_request
from resvd_process import wait_until

ROOM = {"concerts": 2, "capacity": 1_000_000, "members": 20}
# A node is taken for gone after a second of silence, the shortest that there is.
QUICK = {"timeout_ms": 300, "ping_interval_ms": 300}
BACK_S = 10.0  # within which resvd must be selling again once the nodes are there
AT_ONCE_S = 1.5  # who waits for a lock may do so for 2


@pytest.fixture(autouse=True, scope="module")
def needs_redlock():
    require_strategy("redlock")


def is_ready(server) -> bool:
    return server.admin("GET", "/readyz").status == 200


def states(server) -> list[str]:
    """Of the lock nodes, in their order."""
    answer = server.admin("GET", "/readyz?verbose")
    found = {part["name"]: part["state"] for part in answer.json()["components"]}
    return [found[f"lock-{i + 1}"] for i in range(len(found)) if f"lock-{i + 1}" in found]


def check_refused_at_once(server, database, times: int = 5) -> None:
    """503, and nothing taken; what needs no lock is served."""
    before = database.contents()
    for _ in range(times):
        answer, seconds = timed(reserve, server)
        answer.problem(503, "unavailable")
        assert int(answer.headers["retry-after"]) > 0
        assert seconds < AT_ONCE_S, seconds
    assert database.contents() == before
    assert server.ask("GET", "/api/concerts/1").status == 200
    assert server.admin("GET", "/livez").status == 200
    server.admin("GET", "/readyz").problem(503, "unavailable")


class Sellers:
    """Clients that buy all the time, at all servers; what each was told, and when."""

    def __init__(self, servers, background, clients: int = 3):
        self.over = False
        self.answers: list[tuple[float, int]] = []  # when, status
        self.ids: list[str] = []
        self.slowest_s = 0.0
        self.futures = [background(self.sell, server, 1 + number % 2)
                        for server in servers for number in range(clients)]

    def sell(self, server, concert_id: int) -> None:
        request = make_request("POST", "/api/reservations", {"concertId": concert_id, "memberId": 1})
        with server.connect() as connection:
            while not self.over:
                began = time.monotonic()
                connection.send(request)
                answer = connection.read()
                now = time.monotonic()
                self.slowest_s = max(self.slowest_s, now - began)
                self.answers.append((now, answer.status))
                if answer.status == 201:
                    self.ids.append(answer.json()["id"])
                else:
                    check_refusal(answer)
                    time.sleep(0.01)

    def stop(self) -> None:
        self.over = True
        for future in self.futures:
            future.result()

    def granted_since(self, moment: float) -> int:
        return sum(status == 201 for when, status in self.answers if when >= moment)

    def count(self, status: int) -> int:
        return sum(each == status for _, each in self.answers)

    @contextmanager
    def watch(self, what: str, least: int, timeout_s: float = 3.0):
        """So many are sold to from here on, before it is over."""
        began = time.monotonic()
        yield
        wait_until(lambda: self.granted_since(began) >= least, f"{what}: it sells", timeout_s)


def check_sold(database, sellers: Sellers) -> None:
    assert len(set(sellers.ids)) == len(sellers.ids)
    assert set(database.rows()) == set(sellers.ids)
    database.check()


# --- one of three ---------------------------------------------------------------------------------


def test_one_node_killed_and_back(own_nodes, database, serve, background):
    """Each in turn, while locks are held: everybody is sold to, or told CONTENDED, a few times."""
    lock = own_nodes.options()
    servers = [serve(database, "redlock", reset=ROOM if i == 0 else None, **lock) for i in range(2)]
    sellers = Sellers(servers, background)
    with sellers.watch("three nodes", 20):
        pass
    for number, node in enumerate(own_nodes):
        with sellers.watch(f"node {number + 1} is gone", 20):
            node.kill()
            wait_until(lambda: states(servers[0])[number] == "missed", "it is missed")
            assert all(is_ready(server) for server in servers)
        with sellers.watch(f"node {number + 1} is back", 20):
            if number == 1:
                node.wipe()
            node.start()
            wait_until(lambda: all(states(server) == ["up"] * 3 for server in servers), "all are up")
    sellers.stop()
    print(f"{sellers.count(201)} sold, {sellers.count(409)} contended, {sellers.count(503)} refused, "
          f"slowest {sellers.slowest_s * 1000:.0f} ms")
    assert sellers.count(503) == sellers.count(504) == 0
    assert sellers.count(409) * 20 <= sellers.count(201)
    assert sellers.slowest_s < 4.0
    check_sold(database, sellers)
    own_nodes.wait_until_no_keys(database)


def test_one_node_paused_and_back(own_nodes, database, serve, background):
    """It answers nothing, and its connections stay open; what it was asked it does when it wakes."""
    lock = own_nodes.options(**QUICK)
    servers = [serve(database, "redlock", reset=ROOM if i == 0 else None, **lock) for i in range(2)]
    sellers = Sellers(servers, background)
    for number in (0, 1):
        with sellers.watch(f"node {number + 1} is paused", 20):
            own_nodes[number].pause()
            wait_until(lambda: states(servers[0])[number] == "missed", "it is missed")
            assert all(is_ready(server) for server in servers)
        with sellers.watch(f"node {number + 1} is back", 20):
            own_nodes[number].resume()
            wait_until(lambda: all(states(server) == ["up"] * 3 for server in servers), "all are up")
    sellers.stop()
    print(f"{sellers.count(201)} sold, {sellers.count(409)} contended, {sellers.count(503)} refused, "
          f"slowest {sellers.slowest_s * 1000:.0f} ms")
    assert sellers.count(503) == sellers.count(504) == 0
    assert sellers.count(409) * 20 <= sellers.count(201)
    check_sold(database, sellers)
    # What the paused ones did late has no owner: it goes with its lease.
    wait_until(lambda: not own_nodes.keys(database), "no lock is left", 35)


# --- the majority ---------------------------------------------------------------------------------


def test_majority_killed(own_nodes, database, serve, background):
    """In flight or not: an answer soon, and nothing taken that was refused; it is back by itself."""
    server = serve(database, "redlock", reset=ROOM, **own_nodes.options())
    sellers = Sellers([server], background, clients=6)
    with sellers.watch("three nodes", 20):
        pass
    own_nodes[0].kill()
    own_nodes[2].kill()
    wait_until(lambda: not is_ready(server), "no longer ready", 1.0)
    wait_until(lambda: sellers.count(503) > 0, "somebody is refused")
    sellers.stop()
    assert sellers.slowest_s < 2.5
    check_sold(database, sellers)
    check_refused_at_once(server, database)
    found = states(server)
    assert found[0] == found[2] == "down" and found[1] == "up", found
    own_nodes[2].start()
    wait_until(lambda: is_ready(server), "ready again", BACK_S)
    assert reserve(server).status == 201
    assert states(server) == ["missed", "up", "up"]
    own_nodes[0].start()
    wait_until(lambda: states(server) == ["up"] * 3, "all are up", BACK_S)
    assert reserve(server).status == 201
    database.check()


def test_majority_paused(own_nodes, database, serve, background):
    """Found out by silence; then refused at once."""
    server = serve(database, "redlock", reset=ROOM, **own_nodes.options(**QUICK))
    sellers = Sellers([server], background, clients=6)
    with sellers.watch("three nodes", 20):
        pass
    own_nodes[0].pause()
    own_nodes[1].pause()
    wait_until(lambda: not is_ready(server), "no longer ready", 6.0)
    sellers.stop()
    assert sellers.slowest_s < 4.5
    check_refused_at_once(server, database)
    own_nodes[0].resume()
    own_nodes[1].resume()
    wait_until(lambda: is_ready(server), "ready again", BACK_S)
    for concert_id in (1, 2):  # a lock that was taken late has no owner
        answer = reserve_at_last(server, concert_id, key=f"back-{concert_id}")
        assert answer.status == 201
        sellers.ids.append(answer.json()["id"])
    check_sold(database, sellers)


def test_majority_silent(own_nodes, database, serve, background):
    """Before the connections are given up: each attempt finds out for itself, and soon."""
    server = serve(database, "redlock", **own_nodes.options(timeout_ms=5000))
    own_nodes[0].pause()
    own_nodes[1].pause()
    for each in [background(timed, reserve, server, 1 + i % 2) for i in range(6)]:
        answer, seconds = each.result()
        answer.problem(503, "unavailable")
        assert seconds < AT_ONCE_S, seconds
    assert is_ready(server)
    own_nodes[0].resume()
    own_nodes[1].resume()
    assert reserve_at_last(server, key="back").status == 201
    assert len(database.rows()) == 1


def test_only_node_killed(own_nodes, database, serve):
    """N=1: no lock, no sale; a restart of Redis is enough."""
    server = serve(database, "redlock_off", **own_nodes.first(1).options())
    assert reserve(server).status == 201
    for empty in (False, True):
        own_nodes[0].kill()
        wait_until(lambda: not is_ready(server), "no longer ready", 3.0)
        check_refused_at_once(server, database)
        if empty:
            own_nodes[0].wipe()
        own_nodes[0].start()
        wait_until(lambda: is_ready(server), "ready again", BACK_S)
        assert reserve(server).status == 201
    assert len(database.rows()) == 3
    database.check()


def test_waiting_when_the_majority_goes(own_nodes, database, serve, background):
    """Those who wait for a lock that nobody can give any more are not left to wait."""
    server = serve(database, "redlock", strategy__redlock__wait_ms=10000, **own_nodes.options(),
                   server__operation_timeout_ms=20000)
    assert own_nodes.take(database, lease_ms=60000) == 3
    waiting = [background(timed, reserve, server, 1, 1 + i) for i in range(10)]
    wait_until(lambda: server.metric("operations_submitted") == 10, "they wait")
    time.sleep(0.1)
    own_nodes[1].kill()
    own_nodes[2].kill()
    for each in waiting:
        answer, seconds = each.result()
        answer.problem(503, "unavailable")
        assert seconds < 5, seconds  # they may wait for 10
    assert database.rows() == {}


def test_majority_lost_while_holding(own_nodes, database, serve, background):
    """The holder cannot extend any more: what it writes is true, or not there."""
    server = serve(database, "redlock", strategy__redlock__hold_ms=900,
                   strategy__redlock__lease_ms=600, **own_nodes.options(),
                   server__operation_timeout_ms=20000)
    answer = background(timed, reserve, server, key="held")
    own_nodes.wait_until_held(database)
    time.sleep(0.1)
    own_nodes[0].kill()
    own_nodes[1].kill()
    result, seconds = answer.result()
    assert seconds < 4
    if result.status != 201:
        check_refusal(result)
    assert len(database.rows()) == (result.status == 201)
    own_nodes.start()
    wait_until(lambda: is_ready(server), "ready again", BACK_S)
    again = reserve_at_last(server, key="held")
    assert again.status == 201 and len(database.rows()) == 1
    database.check()


def test_scripts_are_forgotten(own_nodes, database, serve, background):
    """SCRIPT FLUSH: loaded again, and nobody notices."""
    server = serve(database, "redlock", reset=ROOM, **own_nodes.options())
    sellers = Sellers([server], background)
    for _ in range(5):
        with sellers.watch("flushed", 10):
            own_nodes.call("SCRIPT", "FLUSH")
    sellers.stop()
    assert sellers.count(201) == len(sellers.answers)
    check_sold(database, sellers)


@pytest.mark.parametrize("how", ["read-only", "out of memory"])
def test_nodes_that_refuse(own_nodes, database, serve, how):
    """Two of three execute nothing: no lock, no sale, and an answer soon."""
    server = serve(database, "redlock", **own_nodes.options(**QUICK))
    for node in list(own_nodes)[:2]:
        if how == "read-only":
            node.call("REPLICAOF", "127.0.0.1", own_nodes[2].port)
        else:
            node.call("CONFIG", "SET", "maxmemory", "1")
    answer, seconds = timed(reserve, server)
    assert answer.status in (409, 503), answer.raw
    assert seconds < 3
    assert database.rows() == {}
    for node in list(own_nodes)[:2]:
        if how == "read-only":
            node.call("REPLICAOF", "NO", "ONE")
        else:
            node.call("CONFIG", "SET", "maxmemory", "0")
    assert reserve_at_last(server, key="back").status == 201
    database.check()


# --- the network ----------------------------------------------------------------------------------


def test_network_swallows_one_node(far_nodes, database, serve, background):
    """In mid-connection, without a word: it is missed, and found again."""
    lock = far_nodes.options(**QUICK)
    servers = [serve(database, "redlock", reset=ROOM if i == 0 else None, **lock) for i in range(2)]
    sellers = Sellers(servers, background)
    with sellers.watch("the cable is pulled", 20):
        far_nodes[0].pull()
        wait_until(lambda: states(servers[0])[0] == "missed", "it is missed")
    with sellers.watch("the cable is back", 20):
        far_nodes[0].plug_in()
        wait_until(lambda: all(states(server) == ["up"] * 3 for server in servers), "all are up", BACK_S)
    sellers.stop()
    print(f"{sellers.count(201)} sold, {sellers.count(409)} contended, slowest "
          f"{sellers.slowest_s * 1000:.0f} ms")
    assert sellers.count(503) == sellers.count(504) == 0
    assert sellers.count(409) * 20 <= sellers.count(201)
    check_sold(database, sellers)


def test_network_swallows_the_majority(far_nodes, database, serve, background):
    server = serve(database, "redlock", reset=ROOM, **far_nodes.options(**QUICK))
    sellers = Sellers([server], background, clients=6)
    with sellers.watch("three nodes", 20):
        pass
    far_nodes[0].pull()
    far_nodes[1].pull()
    wait_until(lambda: not is_ready(server), "no longer ready", 6.0)
    sellers.stop()
    assert sellers.slowest_s < 4.5
    check_refused_at_once(server, database)
    far_nodes[0].plug_in()
    wait_until(lambda: is_ready(server), "ready again", BACK_S)
    for concert_id in (1, 2):
        answer = reserve_at_last(server, concert_id, key=f"back-{concert_id}")
        assert answer.status == 201
        sellers.ids.append(answer.json()["id"])
    check_sold(database, sellers)
