"""Locks and sessions that others hold: deadlocks, lock waits, a pool with nothing left. On MariaDB."""

from __future__ import annotations

import time

from database_fixtures import check_refusal, reserve, timed, wait_until

QUICK = {"server__operation_timeout_ms": 1500, "server__operation_grace_ms": 1500}
DEADLOCKS = "db_deadlocks_total"
LOCK_WAITS = "db_lock_wait_timeouts_total"

# Heavier than resvd's transaction, which the server therefore chooses as the victim.
HEAVY = "UPDATE members SET name = CONCAT(name, '!') WHERE id > 10"


def hold_concert(database, concert_id: int = 1):
    outside = database.session()
    outside.query(f"BEGIN; SELECT id FROM concerts WHERE id = {concert_id} FOR UPDATE")
    return outside


# --- deadlocks ------------------------------------------------------------------------------------


def test_deadlock_over_a_member(database, serve, background, kind):
    """A session outside holds the member and then wants the concert: resvd is the victim, once."""
    server = serve(database, kind)
    before = database.status("Innodb_deadlocks")
    with database.session() as outside:
        outside.query(f"BEGIN; SELECT id FROM members WHERE id = 1 FOR UPDATE; {HEAVY}")
        answer = background(reserve, server, key="victim")
        database.wait_until_waiting()
        outside.query("SELECT id FROM concerts WHERE id = 1 FOR UPDATE")
        wait_until(lambda: server.metric(DEADLOCKS) == 1, "the deadlock is counted")
        outside.query("ROLLBACK")
    assert answer.result().status == 201, answer.result().raw
    assert database.status("Innodb_deadlocks") == before + 1
    again = reserve(server, key="victim")
    assert again.status == 201 and again.headers["idempotent-replay"] == "true"
    assert again.json()["id"] == answer.result().json()["id"]
    assert len(database.rows()) == 1
    database.check()


def test_deadlock_of_many(database, serve, background, kind):
    """The same while others wait for the same concert: all are answered, each has its row."""
    server = serve(database, kind)
    with database.session() as outside:
        outside.query(f"BEGIN; SELECT id FROM members WHERE id = 1 FOR UPDATE; {HEAVY}")
        answers = [background(reserve, server, 1, 1 + i % 10, 1, f"k-{i}") for i in range(20)]
        database.wait_until_waiting()
        outside.query("SELECT id FROM concerts WHERE id = 1 FOR UPDATE")
        wait_until(lambda: server.metric(DEADLOCKS) >= 1, "a deadlock is counted")
        outside.query("ROLLBACK")
    assert [answer.result().status for answer in answers] == [201] * 20
    assert set(database.rows()) == {answer.result().json()["id"] for answer in answers}
    database.check()


def test_deadlock_of_a_release(database, serve, background, kind):
    """A session outside holds the reservation's row and then wants the concert."""
    server = serve(database, kind)
    location = reserve(server, quantity=3).headers["location"]
    with database.session() as outside:
        outside.query(f"BEGIN; SELECT id FROM reservations FOR UPDATE; {HEAVY}")
        answer = background(server.ask, "DELETE", location)
        database.wait_until_waiting()
        outside.query("SELECT id FROM concerts WHERE id = 1 FOR UPDATE")
        wait_until(lambda: server.metric(DEADLOCKS) == 1, "the deadlock is counted")
        outside.query("ROLLBACK")
    assert answer.result().status == 204, answer.result().raw
    assert database.concerts()[0] == (1, 100, 0)
    database.check()


def test_deadlocks_until_the_deadline(database, serve, background, kind):
    """Victim again and again: refused in time, nothing taken, and the session is fit for use."""
    server = serve(database, kind, reset={"concerts": 2, "capacity": 100, "members": 200},
                   link={"pool_min": 1, "pool_max": 1}, **QUICK)
    want_member = "BEGIN; SELECT id FROM members WHERE id = 1 FOR UPDATE; UPDATE members " \
                  "SET name = CONCAT(name, '!') WHERE id BETWEEN {} AND {}"
    outside = database.session()
    outside.query(want_member.format(10, 99))
    answer = background(reserve, server)
    rounds = 0
    while not answer.done() and rounds < 1000:
        wait_until(lambda: answer.done() or database.transactions_waiting() > 0, "resvd waits")
        outside.query("SELECT id FROM concerts WHERE id = 1 FOR UPDATE")
        rounds += 1
        # The next one has the member as soon as this one lets go of it, before resvd asks again.
        first = 100 if rounds % 2 else 10
        following = database.session()
        begun = background(following.query, want_member.format(first, first + 89))
        time.sleep(0.03)
        outside.query("ROLLBACK")
        outside.close()
        begun.result()
        outside = following
    outside.close()
    print(f"{kind}: {rounds} rounds, {server.metric(DEADLOCKS):.0f} deadlocks, {answer.result().status}")
    assert server.metric(DEADLOCKS) >= 2
    granted = answer.result().status == 201
    if not granted:
        check_refusal(answer.result())
    database.wait_until_closed()
    assert len(database.rows()) == granted
    assert reserve(server, 2).status == 201
    database.check()


# --- lock waits -----------------------------------------------------------------------------------


def test_lock_held_too_long(database, serve, kind):
    """Refused in time, nothing taken; the one session that there is has no transaction open and
    nothing of the earlier one in it."""
    server = serve(database, kind, link={"pool_min": 1, "pool_max": 1, "lock_wait_timeout_s": 1},
                   **QUICK)
    with hold_concert(database) as outside:
        answer, seconds = timed(reserve, server, key="late", quantity=7)
        check_refusal(answer)
        assert answer.status in (409, 504), answer.raw
        assert 0.9 < seconds < 6  # it has 3; the lock is held for longer than that
        database.wait_until_closed()
        assert server.metric(LOCK_WAITS) >= 1
        # Reads do not wait for it.
        assert server.ask("GET", "/api/concerts/1").json()["sold"] == 0
        outside.query("ROLLBACK")
    assert database.rows() == {}
    # What is next on that session commits nothing but itself.
    answer = reserve(server, 2, quantity=1)
    assert answer.status == 201
    assert set(database.rows()) == {answer.json()["id"]}
    again = reserve(server, key="late", quantity=7)
    assert again.status == 201 and "idempotent-replay" not in again.headers
    assert [concert[2] for concert in database.concerts()[:2]] == [7, 1]
    database.check()


def test_member_held_too_long(database, serve, kind):
    """The wait comes after the seats were taken: they go back, also where the session is used on."""
    server = serve(database, kind, link={"pool_min": 1, "pool_max": 1, "lock_wait_timeout_s": 1},
                   **QUICK)
    with database.session() as outside:
        outside.query("BEGIN; SELECT id FROM members WHERE id = 1 FOR UPDATE")
        check_refusal(reserve(server, quantity=7))
        database.wait_until_closed()
        outside.query("ROLLBACK")
    assert reserve(server, 2, member_id=2).status == 201
    assert [concert[2] for concert in database.concerts()[:2]] == [0, 1]
    assert len(database.rows()) == 1
    database.check()


def test_lock_held_shortly(database, serve, background, kind):
    """Longer than one lock wait, shorter than the deadline: granted."""
    server = serve(database, kind, link={"lock_wait_timeout_s": 1})
    with hold_concert(database) as outside:
        answers = [background(reserve, server, 1, 1 + i, 1, f"k-{i}") for i in range(10)]
        database.wait_until_waiting()
        time.sleep(1.3)
        outside.query("ROLLBACK")
    assert [answer.result().status for answer in answers] == [201] * 10
    assert len(database.rows()) == 10
    database.check()


def test_lock_wait_of_a_release(database, serve, kind):
    server = serve(database, kind, link={"lock_wait_timeout_s": 1}, **QUICK)
    location = reserve(server, quantity=4).headers["location"]
    with hold_concert(database) as outside:
        check_refusal(server.ask("DELETE", location))
        outside.query("ROLLBACK")
    assert server.ask("GET", location).json()["status"] == "CONFIRMED"
    assert database.concerts()[0] == (1, 100, 4)
    assert server.ask("DELETE", location).status == 204
    assert database.concerts()[0] == (1, 100, 0)
    database.check()


def test_row_that_somebody_is_writing(database, serve, background, kind):
    """A transaction outside has inserted the same id and not committed: waits, then tells what is."""
    server = serve(database, kind)
    first = reserve(server, key="same", quantity=2)
    database.sql("CREATE TABLE kept AS SELECT * FROM reservations; DELETE FROM reservations")
    with database.session() as outside:
        outside.query("BEGIN; INSERT INTO reservations SELECT * FROM kept")
        answer = background(reserve, server, 1, 1, 2, "same")
        database.wait_until_waiting()
        outside.query("COMMIT")
    assert answer.result().status == 201
    assert answer.result().headers["idempotent-replay"] == "true"
    assert answer.result().json() == first.json()
    assert database.concerts()[0] == (1, 100, 2)
    database.check()


# --- the pool -------------------------------------------------------------------------------------


def test_pool_exhausted(database, serve, background, kind):
    """One session, busy: the next wait pool_wait_ms, and beyond pool_queue_max none waits at all."""
    server = serve(database, kind, link={"pool_min": 1, "pool_max": 1, "pool_wait_ms": 1500,
                                         "pool_queue_max": 2, "lock_wait_timeout_s": 15},
                   server__operation_timeout_ms=20000)
    with hold_concert(database) as outside:
        holder = background(reserve, server, 1)
        database.wait_until_waiting()
        waiting = [background(timed, reserve, server, 2 + i) for i in range(2)]
        wait_until(lambda: server.metric("db_connections_pending") == 2, "two wait")
        answer, seconds = timed(reserve, server, 4)
        answer.problem(503, "unavailable")
        assert seconds < 1
        for each in waiting:
            answer, seconds = each.result()
            answer.problem(503, "unavailable")
            assert 1.4 < seconds < 5
        # Reads of members and concerts have a pool of their own.
        assert server.ask("GET", "/api/members/1").status == 200
        assert server.ask("GET", "/api/concerts/2").json()["sold"] == 0
        outside.query("ROLLBACK")
    assert holder.result().status == 201
    assert reserve(server, 2).status == 201
    assert len(database.rows()) == 2
    wait_until(lambda: server.metric("db_connections_active") == 0, "no session is busy")
    assert server.metric("db_connections_pending") == 0
    database.check()


def test_waiting_for_the_pool(database, serve, background, kind):
    """Those who wait are served in turn when it is free again, and the metrics tell."""
    server = serve(database, kind, link={"pool_min": 1, "pool_max": 1, "pool_wait_ms": 4000})
    with hold_concert(database) as outside:
        first = background(reserve, server, 1)
        database.wait_until_waiting()
        others = [background(reserve, server, 2 + i) for i in range(5)]
        wait_until(lambda: server.metric("db_connections_pending") == 5, "five wait")
        assert server.metric("db_connections_active") >= 1
        outside.query("ROLLBACK")
    assert [each.result().status for each in [first, *others]] == [201] * 6
    database.check()


def test_client_gone_while_waiting(database, serve, kind):
    """The client leaves while its operation waits for a lock: no seat without a row, none lost."""
    server = serve(database, kind)
    with hold_concert(database) as outside:
        for _ in range(5):
            with server.connect() as connection:
                connection.send(b"POST /api/reservations HTTP/1.1\r\nHost: a\r\nContent-Type: "
                                b"application/json\r\nContent-Length: 28\r\n\r\n"
                                b'{"concertId":1,"memberId":1}')
                database.wait_until_waiting()
        outside.query("ROLLBACK")
    wait_until(lambda: server.metric("db_connections_active") == 0, "all is done")
    database.check()
    assert reserve(server).status == 201
    database.check()
