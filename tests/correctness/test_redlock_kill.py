"""Two resvd on one database and three lock nodes under load: resvd, MariaDB and Redis are killed and
paused at random moments, for longer than a lease too: 0 lost, 0 double, 0 oversold.

After every round each Idempotency-Key that was granted gives its first answer again at either resvd,
and the rows are compared with what clients were told. RESVD_TEST_REDLOCK_KILL_ROUNDS says how many
rounds (12), RESVD_TEST_SEED repeats a run's choices.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time

from database_fixtures import wait_until
from load import Ledger, ask_again, buy, check_rows, describe, look_up

ROUNDS = int(os.environ.get("RESVD_TEST_REDLOCK_KILL_ROUNDS", "12"))
SEED = int(os.environ.get("RESVD_TEST_SEED", random.SystemRandom().randrange(2**32)))
CLIENTS = 12  # of each resvd
SHAPE = {"concerts": 3, "members": 20, "largest": 3, "releases": 0.2, "outages": True,
         "pause_s": 0.02}
LEASE_MS = 300
PATIENT = {"server__operation_timeout_ms": 5000, "server__operation_grace_ms": 2000,
           "strategy__redlock__lease_ms": LEASE_MS}
FAULTS = ["resvd killed", "resvd paused", "node killed", "node paused", "nodes emptied",
          "mariadb killed", "all killed"]


class World:
    """What there is to be harmed, and who harms it. Each harm ends with all running, but for those
    resvd that are to be started again."""

    def __init__(self, servers, mariadb, nodes, chance: random.Random):
        self.servers, self.mariadb, self.nodes, self.chance = servers, mariadb, nodes, chance

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(self.chance.random() * seconds)

    async def kill_resvd(self) -> None:
        victim = self.chance.choice(self.servers)
        if self.chance.random() < 0.2:  # killed while it stops in order
            victim.signal(signal.SIGTERM)
            await self.pause(0.02)
        victim.process.kill()
        await asyncio.to_thread(victim.process.wait)

    async def pause_resvd(self) -> None:
        """Around the length of a lease, and for several."""
        for _ in range(self.chance.randint(1, 4)):
            victim = self.chance.choice(self.servers)
            victim.signal(signal.SIGSTOP)
            await asyncio.sleep(LEASE_MS / 1000 * self.chance.choice([0.5, 0.9, 1.0, 1.1, 3.0]))
            victim.signal(signal.SIGCONT)
            await self.pause(0.1)

    async def kill_node(self, count: int) -> None:
        for node in self.chance.sample(list(self.nodes), count):
            node.kill()
            if self.chance.random() < 0.5:
                node.wipe()
        await self.pause(0.3)
        await asyncio.to_thread(self.nodes.start)

    async def pause_node(self, count: int) -> None:
        victims = self.chance.sample(list(self.nodes), count)
        for node in victims:
            node.pause()
        await self.pause(0.8)
        for node in victims:
            node.resume()

    async def empty_nodes(self) -> None:
        for _ in range(10):
            await asyncio.to_thread(self.nodes.call, "FLUSHALL")
            await self.pause(0.05)

    async def kill_mariadb(self) -> None:
        self.mariadb.kill()
        await self.pause(0.1)
        await asyncio.to_thread(self.mariadb.start)

    async def harm(self, fault: str) -> None:
        if fault in ("resvd killed", "all killed"):
            await self.kill_resvd()
        if fault == "resvd paused":
            await self.pause_resvd()
        if fault in ("node killed", "all killed"):
            await self.kill_node(self.chance.randint(1, 3))
        if fault == "node paused":
            await self.pause_node(self.chance.randint(1, 3))
        if fault == "nodes emptied":
            await self.empty_nodes()
        if fault in ("mariadb killed", "all killed"):
            await self.kill_mariadb()


async def load_and_harm(world: World, fault: str, ledger: Ledger) -> None:
    stop = asyncio.Event()
    chance = world.chance
    clients = [
        asyncio.create_task(buy(server.address, ledger, random.Random(chance.random()), SHAPE, stop))
        for server in world.servers for _ in range(CLIENTS)
    ]
    await asyncio.sleep(0.1 + chance.random() * 0.3)
    await world.harm(fault)
    await world.pause(0.3)
    stop.set()
    await asyncio.gather(*clients)


async def replay(servers, ledger: Ledger) -> None:
    """Every key that was granted or has no answer, at either of them."""
    wanted = ledger.granted() + ledger.unanswered()
    await asyncio.gather(*(ask_again(servers[i % 2].address, wanted[i::8]) for i in range(8)))
    asked = [sale for sale in ledger.granted() if sale.released == "asked"]
    await look_up(servers[0].address, asked)


def test_kill_rounds(own_mariadb, own_database, own_nodes, serve):
    """Each resvd changes between handing its lock on and not with every other start."""
    chance = random.Random(SEED)
    ledger = Ledger()
    lock = own_nodes.options(timeout_ms=200, ping_interval_ms=200, reconnect_max_ms=200)

    def start(number: int, reset: dict | None = None):
        handoff = {"strategy__redlock__handoff": "off"} if number % 2 else {}
        return serve(own_database, "redlock", reset=reset, **handoff, **lock, **PATIENT)

    servers = [start(0, {"concerts": 3, "capacity": 10_000_000, "members": 20}), start(1)]
    # Two of the three sell out after some rounds, so that the last seat is fought for too.
    for concert_id, capacity in ((2, 20 * ROUNDS), (3, 5 * ROUNDS)):
        answer = servers[0].admin("PUT", f"/admin/concerts/{concert_id}", {"capacity": capacity})
        assert answer.status == 200
    world = World(servers, own_mariadb, own_nodes, chance)
    began, starts, fenced = time.monotonic(), 2, 0.0
    for number in range(ROUNDS):
        fault = FAULTS[number] if number < len(FAULTS) else chance.choice(FAULTS)
        try:
            asyncio.run(load_and_harm(world, fault, ledger))
            for i, server in enumerate(servers):
                if server.process.poll() is not None:
                    servers[i] = start(starts)
                    starts += 1
            for server in servers:
                wait_until(lambda: server.admin("GET", "/readyz").status == 200, "ready", 15)
            asyncio.run(replay(servers, ledger))
            check_rows(own_database.rows(), own_database.concerts(), ledger)
            assert all(server.audit()["consistent"] is True for server in servers)
            fenced += sum(server.metric("redlock_fenced_total") for server in servers)
        except BaseException:
            print(f"round {number}, {fault}, seed {SEED}: {describe(ledger)}")
            raise
    print(f"{ROUNDS} rounds in {time.monotonic() - began:.1f} s, {fenced:.0f} writes fenced, seed {SEED}: "
          f"{describe(ledger)}")
    assert len(ledger.granted()) > ROUNDS * 20
    assert any(sale.released == "yes" for sale in ledger.sales) or ROUNDS < 5
    assert any(sale.status == 409 for sale in ledger.sales) or ROUNDS < 10
    own_nodes.wait_until_no_keys(own_database)
