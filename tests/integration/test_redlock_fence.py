"""A lock is lost while its holder works: it was paused, Redis forgot, Redis' clock stepped, a packet
came too late. What it then writes changes nothing that another has sold, and what is another's lock
it leaves alone. On real MariaDB and Redis.
"""

from __future__ import annotations

import signal
import time

import pytest
from database_fixtures import require_strategy, reserve, reserve_at_last, timed
from database_proxy import DatabaseProxy
from redis_nodes import FOREIGN, lock_key
from resvd_process import wait_until

LEASE_MS = 500
PATIENT = {"server__operation_timeout_ms": 20000, "strategy__redlock__lease_ms": LEASE_MS}
FENCED = "redlock_fenced_total"


@pytest.fixture(autouse=True, scope="module")
def needs_redlock():
    require_strategy("redlock")


def fence(database) -> int:
    return database.number("SELECT fence FROM concerts WHERE id = 1")


# What is there when the holder begins, and what is true for it once the other has sold.
SCENES = {"seats left": None, "last seat": "sold-out", "member limit": "member-limit"}
EVERY_SCENE = pytest.mark.parametrize(("lock_kind", "scene"), [
    *(("redlock", scene) for scene in SCENES), ("redlock_off", "last seat"),
])


def set_scene(server, scene: str) -> None:
    if scene == "last seat":
        assert reserve(server, member_id=9, quantity=99).status == 201
    if scene == "member limit":
        assert server.admin("PUT", "/admin/concerts/1", {"memberLimit": 1}).status == 200


def check_outcome(scene: str, server, database, answer, rows_before: set, fence_before: int) -> None:
    """Of the holder whose lock was lost, against what the other had sold by then."""
    problem = SCENES[scene]
    rows = set(database.rows())
    if answer.status == 201:
        assert problem is None, answer.raw
        assert rows == rows_before | {answer.json()["id"]}
        assert fence(database) == fence_before + 1
    else:
        slugs = ["contended"] if problem is None else ["contended", problem]
        assert answer.status == 409 and answer.json()["type"] in [f"/problems/{slug}" for slug in slugs]
        assert rows == rows_before
        assert fence(database) == fence_before
    database.check()
    again = reserve_at_last(server, key="paused")
    if problem:
        again.problem(409, problem)
    else:
        assert again.status == 201
        assert set(database.rows()) == rows_before | {again.json()["id"]}
    database.check()


@EVERY_SCENE
def test_holder_paused_past_its_lease(database, lock_nodes, serve, background, lock_kind, scene):
    """Between what it has read and what it writes."""
    hold_s = 0.7
    holder = serve(database, lock_kind, strategy__redlock__hold_ms=int(hold_s * 1000), **PATIENT)
    other = serve(database, lock_kind, reset=None)
    set_scene(other, scene)
    answer = background(reserve, holder, key="paused")
    value = lock_nodes.wait_until_held(database)
    time.sleep(0.1)  # it has read
    holder.signal(signal.SIGSTOP)
    stopped = time.monotonic()
    try:
        lock_nodes.wait_until_lost(database, value)
        assert reserve(other, key="awake").status == 201
        rows, number = set(database.rows()), fence(database)
        time.sleep(max(0.0, stopped + hold_s - time.monotonic()))  # it writes as soon as it wakes
    finally:
        holder.signal(signal.SIGCONT)
    check_outcome(scene, holder, database, answer.result(), rows, number)
    lock_nodes.wait_until_no_keys(database)


@EVERY_SCENE
def test_write_that_comes_too_late(mariadb, database, lock_nodes, serve, background, lock_kind, scene):
    """The holder's write is on its way for longer than its lease, and the holder is paused: the
    database itself refuses it."""
    with DatabaseProxy(mariadb.port) as proxy:
        holder = serve(database, lock_kind, link={"port": proxy.port}, **PATIENT)
        other = serve(database, lock_kind, reset=None)
        set_scene(other, scene)
        proxy.arm("stall", delay_s=2.5)
        answer = background(reserve, holder, key="paused")
        wait_until(lambda: proxy.hits, "the write is on its way", pause_s=0.001)
        sent = time.monotonic()
        value = lock_nodes.holder(database)
        assert value is not None
        holder.signal(signal.SIGSTOP)
        try:
            lock_nodes.wait_until_lost(database, value)
            assert reserve(other, key="awake").status == 201
            rows, number = set(database.rows()), fence(database)
            assert time.monotonic() < sent + 2.4, "the other was too slow for this test"
            time.sleep(max(0.0, sent + 2.8 - time.monotonic()))
            assert set(database.rows()) == rows, "the late write changed a row"
            assert fence(database) == number
        finally:
            holder.signal(signal.SIGCONT)
        check_outcome(scene, holder, database, answer.result(), rows, number)
        assert holder.metric(FENCED) >= 1


def test_lock_is_kept_while_work_goes_on(database, lock_nodes, serve, background, lock_kind):
    """Work that takes longer than the lease: extended, and nobody else gets in."""
    holder = serve(database, lock_kind, strategy__redlock__hold_ms=5 * LEASE_MS, **PATIENT)
    answer = background(timed, reserve, holder)
    value = lock_nodes.wait_until_held(database)
    over = time.monotonic() + 3.8 * LEASE_MS / 1000
    while time.monotonic() < over:
        assert lock_nodes.holder(database) == value
        assert lock_nodes.take(database) * 2 < len(lock_nodes.nodes)
        time.sleep(0.02)
    result, seconds = answer.result()
    assert result.status == 201 and seconds >= 5 * LEASE_MS / 1000
    assert holder.metric(FENCED) == 0
    assert holder.metric("redlock_extensions_total") >= 4
    assert holder.metric("redlock_lost_lease_total") == 0
    database.check()


def test_lock_of_another_is_not_extended(database, lock_nodes, serve, background, lock_kind):
    """Redis gave it to another while the holder works and believes that it has it."""
    server = serve(database, lock_kind, strategy__redlock__hold_ms=800, **PATIENT)
    answer = background(reserve, server)
    lock_nodes.wait_until_held(database)
    lock_nodes.let_go(database)
    assert lock_nodes.take(database, lease_ms=5000) == len(lock_nodes.nodes)
    time.sleep(0.7)  # four extensions
    assert lock_nodes.holders(database) == [FOREIGN] * len(lock_nodes.nodes)
    assert all(2000 < left < 4500 for left in lock_nodes.call("PTTL", lock_key(database)))
    lock_nodes.let_go(database)
    assert answer.result().status == 201
    assert len(database.rows()) == 1
    database.check()


@pytest.mark.parametrize("after_s", [0.0, 0.1, 0.2])
def test_lock_of_another_is_left_alone(database, lock_nodes, serve, background, lock_kind, after_s):
    """Paused at any moment past its lease; the lock has gone to another: neither released nor
    extended by the one that wakes."""
    server = serve(database, lock_kind, strategy__redlock__hold_ms=150, strategy__redlock__wait_ms=300,
                   **PATIENT)
    answer = background(reserve, server)
    value = lock_nodes.wait_until_held(database)
    time.sleep(after_s)
    server.signal(signal.SIGSTOP)
    try:
        lock_nodes.wait_until_lost(database, value)
        assert lock_nodes.take(database, lease_ms=5000) == len(lock_nodes.nodes)
        taken = time.monotonic()
    finally:
        server.signal(signal.SIGCONT)
    result = answer.result()
    if result.status != 201:
        result.problem(409, "contended")
    while time.monotonic() < taken + 0.8:  # two extensions and a retry later
        assert lock_nodes.holders(database) == [FOREIGN] * len(lock_nodes.nodes)
        time.sleep(0.02)
    passed_ms = (time.monotonic() - taken) * 1000
    assert all(4000 - passed_ms < left <= 5000 - 700 for left in lock_nodes.call("PTTL", lock_key(database)))
    assert len(database.rows()) == (result.status == 201)
    reserve(server).problem(409, "contended")
    lock_nodes.let_go(database)
    assert reserve(server).status == 201
    database.check()


@pytest.mark.parametrize("scene", ["seats left", "last seat"])
def test_redis_restarted_empty(own_nodes, database, serve, background, scene):
    """All nodes forget a lock that is held; another takes it and sells."""
    holder = serve(database, "redlock", strategy__redlock__hold_ms=4000, **own_nodes.options(),
                   server__operation_timeout_ms=20000)
    other = serve(database, "redlock", reset=None, **own_nodes.options())
    set_scene(other, scene)
    answer = background(reserve, holder, key="paused")
    own_nodes.wait_until_held(database)
    own_nodes.restart_empty()
    wait_until(lambda: other.admin("GET", "/readyz").status == 200, "ready again")
    first = reserve_at_last(other, key="awake")
    assert first.status == 201
    assert not answer.done(), "the other was too slow for this test"
    rows, number = set(database.rows()), fence(database)
    check_outcome(scene, holder, database, answer.result(), rows, number)


# --- clocks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("lock_kind", ["redlock"])
def test_wall_clock_steps_while_waiting(database, lock_nodes, serve, background, lock_kind, clock):
    """The wait limit is no longer and no shorter for it."""
    server = serve(database, lock_kind, environment=clock.environment, strategy__redlock__wait_ms=1200,
                   **PATIENT)
    for seconds in (3600, -3600):
        assert lock_nodes.take(database, lease_ms=60000) == len(lock_nodes.nodes)
        answer = background(timed, reserve, server)
        time.sleep(0.4)
        clock.step(seconds)
        time.sleep(0.2)
        assert not answer.done()
        result, waited_s = answer.result()
        result.problem(409, "contended")
        assert 1.1 < waited_s < 2.5, waited_s
        clock.step(0)
        lock_nodes.let_go(database)
    assert reserve(server).status == 201
    assert len(database.rows()) == 1


@pytest.mark.parametrize("lock_kind", ["redlock_off"])
def test_wall_clock_steps_while_holding(database, lock_nodes, serve, background, lock_kind, clock):
    """Neither taken for lost nor kept for too long."""
    server = serve(database, lock_kind, environment=clock.environment,
                   strategy__redlock__hold_ms=1500, **PATIENT)
    for number, seconds in enumerate((3600, -7200, 0.4)):
        answer = background(timed, reserve, server)
        value = lock_nodes.wait_until_held(database)
        time.sleep(0.2)
        clock.step(seconds)
        time.sleep(0.3)
        assert lock_nodes.holder(database) == value
        result, took_s = answer.result()
        assert result.status == 201, result.raw
        assert took_s < 5
        lock_nodes.wait_until_no_keys(database)
        assert len(database.rows()) == number + 1
    assert server.metric(FENCED) == 0
    database.check()


@pytest.mark.parametrize("scene", ["seats left", "last seat"])
def test_clock_of_redis_steps(stepped_nodes, clock, database, serve, background, scene):
    """All nodes believe that the lease is over long before it is: two hold the lock at once."""
    lock = {**stepped_nodes.options(), "strategy__redlock__lease_ms": 10000}
    holder = serve(database, "redlock", strategy__redlock__hold_ms=3000, **lock,
                   server__operation_timeout_ms=20000)
    other = serve(database, "redlock", reset=None, **lock)
    set_scene(other, scene)
    answer = background(reserve, holder, key="paused")
    value = stepped_nodes.wait_until_held(database)
    clock.step(3600)
    stepped_nodes.wait_until_lost(database, value)
    assert reserve(other, key="awake").status == 201
    assert not answer.done(), "the other was too slow for this test"
    rows, number = set(database.rows()), fence(database)
    check_outcome(scene, holder, database, answer.result(), rows, number)
    clock.step(-3600)  # and now leases seem to last an hour longer
    assert reserve_at_last(other, 2, key="backwards").status == 201
