"""kill -9 of resvd at each step of the strategy async, and SIGSTOP at each until others have taken over.

The victim is resvd-crash (include/resvd/crash_point.h), which dies or stops at the step that its
environment names, under load. It is the only consumer and has an API; another resvd has an API only.
After each: all that was accepted is one row, nothing else is, and Redis' numbers are right.
RESVD_TEST_SEED repeats a run's choices.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
import uuid
from pathlib import Path

import pytest
from async_fixtures import AsyncStack
from async_load import Ledger, Sale, check_all, under_load
from resvd_fixtures import finish, starter
from resvd_process import wait_until

SEED = int(os.environ.get("RESVD_TEST_SEED", random.SystemRandom().randrange(2**32)))
CLIENTS = 4  # of each API
SHAPE = {"concerts": 3, "members": 100, "largest": 2, "releases": 0.4, "keyless": 0.2}
CONTENT = {"concerts": 3, "capacity": 10_000_000, "members": 100}
# A consumer that died or stopped is soon given up.
HASTY = {"kafka__session.timeout.ms": 600, "kafka__heartbeat.interval.ms": 100}

# NAME:PASSAGE:DELAY_MS. During the delay whatever it had set going goes on without it.
STEPS = [
    "taken:1", "taken:20", "publishing:1", "publishing:20", "published:1", "published:10:200",
    "reported:1", "reported:20", "pending_found:1",
    "applying:1", "applying:10", "decided:1", "decided:4", "committing:1", "committing:6:200",
    "committed:1", "committed:6", "passed:5", "settling:1", "settling:6:200", "settled:1",
    "settled:6", "gate_cleared:1", "gate_cleared:2:200", "gate_opening:1", "gate_opening:2",
]
STOPS = ["taken:10", "publishing:10", "published:10", "reported:10", "applying:6", "decided:3",
         "committing:6", "committed:6", "settling:6", "gate_cleared:1", "gate_opening:2"]
API_STEPS = ("taken", "publishing", "published", "reported")


class Site:
    """One installation for all tests of this file, unless one fails: then the next has another."""

    def __init__(self, servers, start):
        self.stack = AsyncStack(servers, start)
        self.ledger = Ledger(SHAPE)
        self.chance = random.Random(SEED)
        self.is_good = True
        self.api = self.stack.start(role="api", reset=CONTENT, **HASTY)
        self.members = CONTENT["members"]

    def victim(self, what: str, step: str):
        """what: CRASH or STOP."""
        return self.stack.start(reset=None, binary="resvd-crash",
                                environment={f"RESVD_{what}_AT": step}, **HASTY)

    def close_gates(self) -> None:
        """As if Redis had lost these numbers: they are made anew for the next who sells there."""
        for concert_id in range(1, SHAPE["concerts"] + 1):
            self.stack.redis.call("HDEL", self.stack.key(concert_id, "gate"), "run")

    # --- load ---

    def load_until(self, addresses: list, over, clients: int = CLIENTS) -> None:
        """Until that says so, and it must within twenty seconds."""
        async def run() -> None:
            give_up = time.monotonic() + 20
            async with under_load(addresses, self.ledger, self.chance, clients, grace_s=1.0):
                while not over():
                    assert time.monotonic() < give_up, "it did not come to that step"
                    await asyncio.sleep(0.01)

        asyncio.run(run())

    def load_for(self, addresses: list, seconds: float) -> None:
        end = time.monotonic() + seconds
        self.load_until(addresses, lambda: time.monotonic() >= end)

    # --- afterwards ---

    def recover(self, begin: int) -> None:
        """A fresh consumer does the rest. begin: in the ledger."""
        fresh = self.stack.start(reset=None, **HASTY)
        self.check(begin, [self.api, fresh])
        assert fresh.stop() == 0

    def check(self, begin: int, processes: list) -> None:
        check_all(self.stack, self.ledger, processes, self.ledger.sales[begin:])


@pytest.fixture(scope="module")
def sites(request, async_servers, tmp_path_factory):
    start, servers = starter(request, tmp_path_factory)
    made: list[Site] = []

    def get() -> Site:
        async_servers.start()
        if not made or not made[-1].is_good:
            made.append(Site(async_servers, start))
        return made[-1]

    yield get
    async_servers.start()
    finish(request.session, servers)


@pytest.fixture
def site(sites):
    site = sites()
    site.is_good = False
    yield site


def wait_for_death(victim, step: str) -> None:
    assert victim.wait_exit() == -signal.SIGKILL, victim.log()
    assert f"crash point {name_of(step)}\n" in victim.log()


def name_of(step: str) -> str:
    return step.partition(":")[0]


def is_stopped(process) -> bool:
    stat = Path(f"/proc/{process.pid}/stat").read_text()
    return stat.rpartition(")")[2].split()[0] == "T"


@pytest.mark.parametrize("step", STEPS)
def test_killed_at(site, step):
    begin = len(site.ledger.sales)
    if name_of(step).startswith("gate"):
        site.close_gates()
    victim = site.victim("CRASH", step)
    site.load_until([site.api.address, victim.address], lambda: victim.process.poll() is not None)
    wait_for_death(victim, step)
    site.recover(begin)
    site.is_good = True


@pytest.mark.parametrize("step", STOPS)
def test_stopped_at_until_others_have_taken_over(site, step):
    begin = len(site.ledger.sales)
    if name_of(step).startswith("gate"):
        site.close_gates()
    victim = site.victim("STOP", step)
    site.load_until([(victim if name_of(step) in API_STEPS else site.api).address],
                    lambda: is_stopped(victim))
    other = site.stack.start(reset=None, **HASTY)
    site.load_for([site.api.address, other.address], 1.0)
    wait_until(lambda: other.metric("kafka_partitions_assigned") == 3, "it has taken over")
    site.load_for([site.api.address, other.address], 0.2)
    victim.signal(signal.SIGCONT)
    site.load_for([site.api.address, other.address, victim.address], 0.5)
    site.check(begin, [site.api, other, victim])
    assert victim.stop() == 0 and other.stop() == 0
    site.is_good = True


# --- steps that a load does not come to -------------------------------------------------------------


def test_killed_between_insert_and_commit(site):
    """The transaction waits for rows that the test holds, and its client dies meanwhile."""
    begin = len(site.ledger.sales)
    victim = site.stack.start(reset=None, **HASTY)
    site.load_for([victim.address], 0.3)
    with site.stack.database.session() as session:
        session.query("BEGIN; SELECT id FROM concerts FOR UPDATE")
        site.load_until([site.api.address], lambda: site.stack.database.transactions_waiting() > 0)
        victim.kill()
        session.query("ROLLBACK")
    site.recover(begin)
    site.is_good = True


def test_killed_before_seats_go_back(site):
    """The broker is silent: the first events may be in the log, those behind them are not."""
    begin = len(site.ledger.sales)
    victim = site.stack.start(
        reset=None, binary="resvd-crash", environment={"RESVD_CRASH_AT": "undoing"},
        **{**HASTY, "kafka__timeout_ms": 800})
    site.load_until([victim.address], lambda: any(map(Sale.accepted, site.ledger.sales[begin:])))
    site.stack.kafka.pause()
    try:
        site.load_until([victim.address], lambda: victim.process.poll() is not None, clients=40)
    finally:
        site.stack.kafka.resume()
    wait_for_death(victim, "undoing")
    site.recover(begin)
    site.is_good = True


def test_killed_while_sweeping(site):
    begin = len(site.ledger.sales)
    first = site.victim("CRASH", "taken:5")
    site.load_until([first.address], lambda: first.process.poll() is not None)
    wait_for_death(first, "taken")
    second = site.victim("CRASH", "sweeping")
    wait_for_death(second, "sweeping")
    site.recover(begin)
    site.is_good = True


def test_killed_between_a_change_of_capacity_and_its_barrier(site):
    begin = len(site.ledger.sales)
    site.load_for([site.api.address], 0.1)
    victim = site.victim("CRASH", "catalog_stored")
    with pytest.raises((OSError, AssertionError)):
        victim.admin("PUT", "/admin/concerts/2", {"capacity": 5_000_000})
    wait_for_death(victim, "catalog_stored")
    site.recover(begin)
    assert dict((row[0], row[1]) for row in site.stack.database.concerts())[2] == 5_000_000
    site.is_good = True


# --- dead letters -----------------------------------------------------------------------------------


def letters(process) -> list[dict]:
    answer = process.admin("GET", "/admin/dead-letters")
    assert answer.status == 200, answer.raw
    return answer.json()["items"]


def test_killed_between_letter_and_position(site):
    begin = len(site.ledger.sales)
    victim = site.victim("CRASH", "lettered")
    site.load_for([site.api.address], 0.1)
    site.stack.write_record(1, b"poison")
    site.load_for([site.api.address], 0.3)
    wait_for_death(victim, "lettered")
    site.recover(begin)
    found = letters(site.api)
    assert [letter for letter in found if "poison" in str(letter)], found
    assert len({letter["id"] for letter in found}) == len(found)
    site.is_good = True


def test_killed_while_a_letter_is_sent_again(site):
    """An event of a member who comes later; its letter stays, and is sent twice: one row."""
    event_id, member_id = str(uuid.uuid4()), site.members + 1
    epoch = site.stack.gate(1)["epoch"]
    text = f"1 reserve {event_id} 1 {member_id} 1 {int(time.time() * 1000)} {epoch} -"
    victim = site.victim("CRASH", "letter_sent_again")
    site.stack.write_record(1, text.encode())
    wait_until(lambda: any(event_id in str(letter) for letter in letters(site.api)), "a letter", 20)
    answer = victim.admin("POST", "/admin/members", {"name": "Late"})
    assert answer.status == 201 and answer.json()["id"] == member_id, answer.raw
    site.members += 1
    letter_id = next(letter["id"] for letter in letters(site.api) if event_id in str(letter))
    with pytest.raises((OSError, AssertionError)):
        victim.admin("POST", f"/admin/dead-letters/{letter_id}/retry")
    wait_for_death(victim, "letter_sent_again")
    fresh = site.stack.start(reset=None, **HASTY)
    wait_until(lambda: event_id in site.stack.database.rows(), "its row")
    assert letter_id in [letter["id"] for letter in letters(fresh)]
    assert fresh.admin("POST", f"/admin/dead-letters/{letter_id}/retry").status < 300
    assert letter_id not in [letter["id"] for letter in letters(fresh)]
    assert fresh.stop() == 0
    row = site.stack.database.rows()[event_id]
    assert row == (1, member_id, 1, 2)
    site.is_good = True
