"""MariaDB goes away, is full, is stopped or refuses, while resvd sells: true answers, and no restart.

RESVD_TEST_GONE_SECONDS: how long the server stays away in the test of a longer outage (10).
"""

from __future__ import annotations

import os
import time

import pytest
from database_fixtures import (
    SMALL,
    Database,
    check_refusal,
    reserve,
    reserve_at_last,
    timed,
    wait_until,
)
from services import MariaDB
from small_disks import MountError, small_disk_at

GONE_S = float(os.environ.get("RESVD_TEST_GONE_SECONDS", "10"))
BACK_S = 10.0  # within which resvd must be selling again once the server is there
SHORT = {"server__operation_timeout_ms": 700, "server__operation_grace_ms": 700}


def wait_ready(server, timeout_s: float = BACK_S) -> None:
    wait_until(lambda: server.admin("GET", "/readyz").status == 200, "ready again", timeout_s)


def wait_not_ready(server) -> None:
    wait_until(lambda: server.admin("GET", "/readyz").status == 503, "no longer ready")


# --- gone -----------------------------------------------------------------------------------------


def test_server_gone(own_mariadb, own_database, serve, kind):
    """503 at once for as long as it is away; health tells; it goes on by itself when it is back.
    One of the three stays without it for the whole time."""
    server = serve(own_database, kind)
    first = reserve(server, key="first")
    assert first.status == 201
    own_mariadb.kill()
    wait_not_ready(server)
    give_up = time.monotonic() + (GONE_S if kind == "grouped" else min(GONE_S, 1.5))
    slowest_s = 0.0
    while time.monotonic() < give_up:
        with server.connect() as connection:
            for method, target, body in (
                ("POST", "/api/reservations", {"concertId": 1, "memberId": 1}),
                ("GET", first.headers["location"], None),
                ("DELETE", first.headers["location"], None),
                ("GET", "/api/concerts/1", None),
                ("GET", "/api/members/1", None),
            ):
                answer, seconds = timed(connection.request, method, target, body)
                answer.problem(503, "unavailable")
                assert int(answer.headers["retry-after"]) > 0
                slowest_s = max(slowest_s, seconds)
        assert server.admin("GET", "/livez").status == 200
        ready = server.admin("GET", "/readyz?verbose").problem(503, "unavailable")
        assert any(component["state"] == "down" and "database" in component["name"]
                   for component in ready["components"]), ready
        time.sleep(0.2)
    # Who waits for a connection may do so for 2 s.
    assert slowest_s < 0.5, f"slowest refusal: {slowest_s * 1000:.0f} ms"
    own_mariadb.start()
    wait_ready(server)
    assert reserve(server, key="second").status == 201
    again = reserve(server, key="first")
    assert again.json() == first.json() and again.headers["idempotent-replay"] == "true"
    assert len(own_database.rows()) == 2
    own_database.check()


def test_server_killed_and_back(own_mariadb, own_database, serve, kind, background):
    """-9 with requests in flight, several times: what was granted is there, what was not is not."""
    server = serve(own_database, kind, reset={"concerts": 3, "capacity": 10000, "members": 20})
    granted, unknown, refused = set(), set(), 0
    for number in range(3):
        answers = [background(reserve, server, 1 + i % 3, 1 + i % 20, 1, f"{number}-{i}")
                   for i in range(100)]
        time.sleep(0.02 * number)
        own_mariadb.kill()
        time.sleep(0.05 * number)
        own_mariadb.start()
        for answer in (answer.result() for answer in answers):
            if answer.status == 201:
                granted.add(answer.json()["id"])
            elif answer.status == 500:
                unknown.add(answer.problem(500, "unknown-outcome")["id"])
            else:
                check_refusal(answer)
                refused += 1
        wait_ready(server)
        wait_until(lambda: server.metric("db_connections_active") == 0, "all is found out")
        rows = set(own_database.rows())
        assert granted <= rows <= granted | unknown
        own_database.check()
        for i in range(100):
            answer = reserve_at_last(server, 1 + i % 3, 1 + i % 20, 1, f"{number}-{i}")
            assert answer.status == 201, answer.raw
            granted.add(answer.json()["id"])
        assert set(own_database.rows()) == granted
    print(f"{kind}: {refused} refused, {len(unknown)} unknown of 300")
    assert len(granted) == 300


def test_server_stopped_in_order(own_mariadb, own_database, serve, kind):
    """An administrator restarts it: sessions are ended by the server, with its own error."""
    server = serve(own_database, kind)
    assert reserve(server).status == 201
    own_mariadb.restart()
    wait_until(lambda: reserve(server, key="again").status == 201, "it sells again", BACK_S)
    assert len(own_database.rows()) == 2
    own_database.check()


def test_sessions_killed_by_the_administrator(database, serve, kind):
    server = serve(database, kind)
    for number in range(5):
        for session in database.sessions_of_resvd():
            try:
                database.sql(f"KILL {session}")
            except Exception as error:  # it may be gone by itself
                assert "1094" in str(error), error
        answer = reserve(server, key=f"k-{number}")
        assert answer.status in (201, 503), answer.raw
        wait_until(lambda: reserve(server, key=f"k-{number}").status == 201, "it sells again")
    assert len(database.rows()) == 5
    database.check()


# --- refusing -------------------------------------------------------------------------------------


def test_server_read_only(own_mariadb, own_database, serve, kind):
    server = serve(own_database, kind)
    location = reserve(server, quantity=2).headers["location"]
    own_mariadb.sql("SET GLOBAL read_only = 1")
    for _ in range(3):
        reserve(server, key="later").problem(503, "unavailable")
        server.ask("DELETE", location).problem(503, "unavailable")
    assert server.ask("GET", location).json()["status"] == "CONFIRMED"
    assert server.ask("GET", "/api/concerts/1").json()["sold"] == 2
    assert own_database.concerts()[0] == (1, 100, 2)
    own_mariadb.sql("SET GLOBAL read_only = 0")
    wait_until(lambda: reserve(server, key="later").status == 201, "it sells again", BACK_S)
    assert server.ask("DELETE", location).status == 204
    assert own_database.concerts()[0] == (1, 100, 1)
    own_database.check()


def test_privilege_taken_away(own_mariadb, own_database, serve, kind):
    """While it runs: refused, and granted again once the privilege is back."""
    server = serve(own_database, kind)
    users = [f"resvd@'{host}'" for host in ("localhost", "127.0.0.1", "::1")]
    for user in users:
        own_mariadb.sql(f"REVOKE ALL PRIVILEGES ON {own_database.name}.* FROM {user}")
    answer = reserve(server, key="k")
    if answer.status != 201:  # sessions that are open may keep what they had
        check_refusal(answer)
    for user in users:
        own_mariadb.sql(f"GRANT ALL PRIVILEGES ON {own_database.name}.* TO {user}")
    wait_until(lambda: reserve(server, key="k").status == 201, "it sells again", BACK_S)
    assert len(own_database.rows()) == 1
    own_database.check()


def test_too_many_connections(own_mariadb, own_database, serve, kind, background):
    """All of the server's connections are taken by others: what resvd has goes on working; without
    any it refuses; and it is back when there is room."""
    server = serve(own_database, kind, link={"pool_min": 2, "pool_max": 8})
    own_mariadb.sql("SET GLOBAL max_connections = 12")
    root = own_database.session()
    others = []
    try:
        while True:
            others.append(own_mariadb.connect("resvd", own_database.name))
    except Exception as error:
        assert "1040" in str(error), error
    answers = [background(reserve, server, 1 + i % 10, key=f"k-{i}") for i in range(40)]
    for answer in (answer.result() for answer in answers):
        assert answer.status in (201, 503), answer.raw
    granted = sum(answer.result().status == 201 for answer in answers)
    assert granted == int(root.query("SELECT COUNT(*) FROM reservations")[0][0]) > 0
    take_all_connections(own_mariadb, own_database, root, others)
    wait_until(lambda: reserve(server, key="none").status == 503, "it refuses")
    for other in [*others, root]:
        other.close()
    wait_until(lambda: reserve(server, key="back").status == 201, "it sells again", BACK_S)
    own_database.check()


def take_all_connections(mariadb, database, root, others):
    """resvd is quick to connect again, so a connection of its that is ended may be its next: until
    none is."""
    give_up = time.monotonic() + 10
    while time.monotonic() < give_up:
        rows = root.query("SELECT id FROM information_schema.processlist WHERE user = 'resvd'")
        theirs = {int(row[0]) for row in rows} - {other.thread_id for other in others}
        for session in theirs:
            try:
                root.query(f"KILL {session}")
            except Exception as error:
                assert "1094" in str(error), error  # it has gone by itself
        try:
            while True:
                others.append(mariadb.connect("resvd", database.name))
        except Exception as error:
            assert "1040" in str(error), error
        if not theirs:
            return
    raise AssertionError("resvd still has connections")


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 96 MiB, where this user may mount one."""
    try:
        with small_disk_at(tmp_path / "disk", 96) as folder:
            yield folder
    except MountError as error:
        pytest.skip(str(error))


def test_disk_full(small_disk, tmp_path, serve, kind):
    """The server's disk is full: refused, nothing taken; sells again when there is room."""
    options = {**SMALL, "innodb-flush-method": "fsync"}
    with MariaDB(tmp_path / "mariadb", data_dir=small_disk / "data", options=options) as mariadb:
        database = Database(mariadb)
        server = serve(database, kind, reset={"concerts": 1, "capacity": 10**6, "members": 20})
        granted = {reserve(server, key="first").json()["id"]}
        filler = small_disk / "filler"
        with open(filler, "wb", buffering=0) as out:
            try:
                while True:
                    out.write(b"\0" * 4096)
            except OSError:
                pass
        unknown = set()
        with server.connect() as connection:
            for number in range(200_000):
                answer = connection.request("POST", "/api/reservations", {"concertId": 1, "memberId": 1},
                                            {"Idempotency-Key": f"full-{number}"})
                if answer.status == 201:
                    granted.add(answer.json()["id"])
                elif answer.status == 500:
                    unknown.add(answer.json()["id"])
                else:
                    answer.problem(503, "unavailable")
                    break
            else:
                raise AssertionError("the disk was never full")
        print(f"{kind}: full after {len(granted)} rows")
        assert server.ask("GET", f"/api/reservations/{min(granted)}").status == 200
        filler.unlink()
        wait_until(lambda: reserve(server, key="room").status == 201, "it sells again", 20)
        granted.add(reserve(server, key="room").json()["id"])
        rows = set(database.rows())
        assert granted <= rows <= granted | unknown
        database.check()
        assert server.stop() == 0


# --- stalled --------------------------------------------------------------------------------------


def test_server_stalled(own_mariadb, own_database, serve, kind, background):
    """SIGSTOP: everybody is answered within deadline and grace; after CONT no answer was untrue."""
    server = serve(own_database, kind, reset={"concerts": 3, "capacity": 1000, "members": 200},
                   **SHORT)
    by_member = {}
    own_mariadb.pause()
    try:
        answers = {member: background(timed, reserve, server, 1 + member % 3, member, 1, "stalled")
                   for member in range(1, 41)}
        reads = [background(timed, server.ask, "GET", target)
                 for target in ("/api/concerts/1", "/api/members/1")]
        for member, future in answers.items():
            answer, seconds = future.result()
            assert seconds < 1.4 + 2, f"answered after {seconds:.1f} s"
            by_member[member] = answer
            if answer.status != 500:
                check_refusal(answer)
        for future in reads:
            answer, seconds = future.result()
            assert answer.status in (503, 504), answer.raw
            assert seconds < 1.4 + 2
        assert server.admin("GET", "/livez").status == 200
    finally:
        own_mariadb.resume()
    wait_ready(server)
    time.sleep(0.5)  # for what may still be executed
    members = {row[1] for row in own_database.rows().values()}
    for member, answer in by_member.items():
        assert member not in members or answer.status == 500, (member, answer.raw)
    own_database.check()
    for member, answer in by_member.items():
        again = reserve_at_last(server, 1 + member % 3, member, 1, "stalled")
        assert again.status == 201, again.raw
        if answer.status == 500:
            assert again.headers["location"] == answer.headers["location"]
    assert len(own_database.rows()) == 40
    own_database.check()


def test_server_stalled_while_it_sells(own_mariadb, own_database, serve, kind, background):
    """Paused again and again for less than the deadline: everything is granted, once."""
    server = serve(own_database, kind, link={"pool_wait_ms": 15000},
                   server__operation_timeout_ms=20000)
    stop = time.monotonic() + 2.5

    def sell(member: int) -> set:
        mine = set()
        with server.connect() as connection:
            while time.monotonic() < stop:
                answer = connection.request("POST", "/api/reservations",
                                            {"concertId": member % 10 + 1, "memberId": member})
                assert answer.status in (201, 409), answer.raw
                if answer.status == 201:
                    mine.add(answer.json()["id"])
        return mine

    sellers = [background(sell, member) for member in range(1, 21)]
    while time.monotonic() < stop:
        own_mariadb.pause()
        time.sleep(0.2)
        own_mariadb.resume()
        time.sleep(0.1)
    promised = [seller.result() for seller in sellers]
    assert set(own_database.rows()) == set().union(*promised)
    assert sum(map(len, promised)) > 20
    own_database.check()


def test_term_while_the_server_stalls(own_mariadb, own_database, serve, kind, background):
    """resvd is told to stop while nothing is answered: it ends in time, and says what is true."""
    server = serve(own_database, kind, server__drain_timeout_ms=500, **SHORT)
    own_mariadb.pause()
    try:
        answers = [background(reserve, server, 1, member, 1, "k") for member in range(1, 6)]
        wait_until(lambda: server.metric("http_connections") >= 1, "they are there")
        time.sleep(0.1)
        _, seconds = timed(server.stop)
        assert seconds < 8
        for answer in answers:
            try:
                result = answer.result()
            except (AssertionError, OSError):
                continue  # it was closed without an answer
            if result.status != 500:
                check_refusal(result)
    finally:
        own_mariadb.resume()
    after = serve(own_database, kind, reset=None)
    own_database.check()
    for member in range(1, 6):
        assert reserve_at_last(after, 1, member, 1, "k").status == 201
    assert len(own_database.rows()) == 5
