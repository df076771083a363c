"""Several resvd under load, and random kills of them, of Redis, of Kafka and of MariaDB: 0 lost,
0 double, 0 oversold, and in the end Redis' numbers are right.

Once with each way in which Redis keeps what it is told, and with each way of sharing the work between
processes. After every round all that was accepted has its row, every Idempotency-Key gives its first
answer again, and rows and numbers are compared with what clients were told.
RESVD_TEST_ASYNC_KILL_ROUNDS says how many rounds in all (30), RESVD_TEST_SEED repeats a run's choices.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time

import pytest
from async_load import Ledger, api_addresses, check_all, under_load
from resvd_process import wait_until

ROUNDS = int(os.environ.get("RESVD_TEST_ASYNC_KILL_ROUNDS", "30"))
SEED = int(os.environ.get("RESVD_TEST_SEED", random.SystemRandom().randrange(2**32)))
CLIENTS = 8  # of each resvd that has an API
SHAPE = {"concerts": 3, "members": 100, "largest": 3, "releases": 0.2, "keyless": 0.2}
# Redis' options, the processes' roles.
KINDS = {
    "everysec": ({"appendonly": "yes", "appendfsync": "everysec"}, ["all", "all"]),
    "always": ({"appendonly": "yes", "appendfsync": "always"}, ["api", "consumer", "consumer"]),
    "forgets": ({"appendonly": "no"}, ["api", "all"]),
}
# A broker needs five seconds to come back: not in every round.
FAULTS = ["resvd", "redis", "mariadb", "kafka", "resvd redis", "redis", "resvd", "resvd mariadb",
          "resvd redis mariadb kafka", "redis redis"]


class World:
    """What there is to be harmed, and who harms it. Each harm ends with all servers running; those
    resvd that were killed are to be started again."""

    def __init__(self, stack, processes: list, chance: random.Random):
        self.stack, self.processes, self.chance = stack, processes, chance

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(self.chance.random() * seconds)

    async def kill_resvd(self) -> None:
        victim = self.chance.choice(self.processes)
        if self.chance.random() < 0.2:  # killed while it stops in order
            victim.signal(signal.SIGTERM)
            await self.pause(0.02)
        victim.process.kill()
        await asyncio.to_thread(victim.process.wait)

    async def kill_server(self, name: str) -> None:
        server = getattr(self.stack, name)
        server.kill()
        await self.pause(0.2)
        await asyncio.to_thread(server.start)

    async def harm(self, fault: str) -> None:
        """Those of a word each, one upon the other, or at once."""
        works = [self.kill_resvd() if name == "resvd" else self.kill_server(name)
                 for name in fault.split()]
        if len(set(fault.split())) == len(works) and self.chance.random() < 0.5:
            await asyncio.gather(*works)
            return
        for work in works:
            await work
            await self.pause(0.2)


async def load_and_harm(world: World, fault: str, ledger: Ledger) -> None:
    chance = world.chance
    async with under_load(api_addresses(world.processes), ledger, chance, CLIENTS):
        await asyncio.sleep(0.2 + chance.random() * 0.3)
        await world.harm(fault)
        await asyncio.sleep(0.1 + chance.random() * 0.3)


class Processes(list):
    """As KINDS has them, started again when they are dead."""

    def __init__(self, stack, roles: list):
        super().__init__()
        self.stack, self.roles = stack, roles
        for number, role in enumerate(roles):
            self.append(self.start(role, {"concerts": 3, "capacity": 10_000_000, "members": 100}
                                   if number == 0 else None))

    def start(self, role: str, reset: dict | None = None):
        return self.stack.start(role=role, reset=reset)

    def start_dead(self) -> None:
        for number, role in enumerate(self.roles):
            if self[number].process.poll() is not None:
                self[number] = self.start(role)
        for process in self:
            wait_until(lambda: process.admin("GET", "/readyz").status == 200, "ready", 15)


@pytest.fixture(params=KINDS)
def kind(request, async_servers):
    """Its Redis; the usual one afterwards."""
    redis = async_servers.redis
    usual = redis.options
    redis.options = {**usual, **KINDS[request.param][0]}
    redis.kill()
    redis.wipe()
    yield request.param
    redis.options = usual
    redis.kill()
    redis.wipe()


def run_round(world: World, fault: str, ledger: Ledger, chance: random.Random, kind: str) -> int:
    before = len(ledger.sales)
    asyncio.run(load_and_harm(world, fault, ledger))
    world.processes.start_dead()
    older = ledger.sales[:before]
    sales = ledger.sales[before:] + chance.sample(older, min(200, len(older)))
    return check_all(world.stack, ledger, world.processes, sales,
                     rejected_max=None if kind == "forgets" else 0)


def test_kill_rounds(kind, stack):
    chance = random.Random(f"{SEED} {kind}")
    ledger = Ledger(SHAPE)
    rounds = max(1, ROUNDS // len(KINDS))
    processes = Processes(stack, KINDS[kind][1])
    # Two of the three sell out after some rounds, so that the last seat is fought for too.
    for concert_id, capacity in ((2, 150 * rounds), (3, 40 * rounds)):
        answer = processes[0].admin("PUT", f"/admin/concerts/{concert_id}", {"capacity": capacity})
        assert answer.status == 200
    world = World(stack, processes, chance)
    began, rejected = time.monotonic(), 0
    for number in range(rounds):
        fault = FAULTS[number] if number < len(FAULTS) else chance.choice(FAULTS)
        at = time.monotonic()
        try:
            rejected = run_round(world, fault, ledger, chance, kind)
        except BaseException:
            print(f"round {number}, {fault}, seed {SEED}: {ledger.describe()}")
            raise
        print(f"round {number}, {fault}: {time.monotonic() - at:.1f} s")
    print(f"{kind}: {rounds} rounds in {time.monotonic() - began:.1f} s, seed {SEED}, "
          f"{rejected} accepted and rejected: {ledger.describe()}")
    check_all(stack, ledger, processes, rejected_max=None if kind == "forgets" else 0)
    assert len(ledger.accepted()) > rounds * 20
    assert any(sale.released == "yes" for sale in ledger.sales)
    assert any(sale.answer == 409 for sale in ledger.sales) or rounds < 5
