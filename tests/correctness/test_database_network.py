"""Connections to MariaDB are lost at random moments under load: every answer is true all the same.

RESVD_TEST_NETWORK_SECONDS says how long for each strategy (4), RESVD_TEST_SEED repeats the choices.
"""

from __future__ import annotations

import asyncio
import os
import random

from database_fixtures import wait_until
from database_proxy import DatabaseProxy, is_decisive
from load import Ledger, ask_again, buy, check_rows, describe, look_up

SECONDS = float(os.environ.get("RESVD_TEST_NETWORK_SECONDS", "4"))
SEED = int(os.environ.get("RESVD_TEST_SEED", random.SystemRandom().randrange(2**32)))
SHAPE = {"concerts": 3, "members": 20, "largest": 3, "releases": 0.2, "outages": True}
CLIENTS = 24


def chooser(seed: int):
    """Of statements that decide, one of 12 goes wrong; of others one of 60."""
    chance = random.Random(seed)

    def choose(payload: bytes) -> str | None:
        if chance.random() > (1 / 12 if is_decisive(payload) else 1 / 60):
            return None
        return chance.choice(["cut", "lose_answer", "hold_answer", "late", "stall"])

    return choose


async def load(server, ledger: Ledger, seconds: float) -> None:
    stop = asyncio.Event()
    clients = [
        asyncio.create_task(buy(server.address, ledger, random.Random(SEED + i), SHAPE, stop))
        for i in range(CLIENTS)
    ]
    await asyncio.sleep(seconds)
    stop.set()
    await asyncio.gather(*clients)


def test_connections_lost_under_load(mariadb, database, serve, kind):
    ledger = Ledger()
    with DatabaseProxy(mariadb.port) as proxy:
        server = serve(database, kind, link={"port": proxy.port, "statement_timeout_ms": 300},
                       reset={"concerts": 3, "capacity": 5000, "members": 20})
        proxy.arm_with(chooser(SEED), delay_s=0.4)
        asyncio.run(load(server, ledger, SECONDS))
        harmed = len(proxy.hits)
        proxy.arm(None)
        wait_until(lambda: server.admin("GET", "/readyz").status == 200, "ready", 15)
        database.wait_until_closed(15)
        print(f"{kind}: seed {SEED}, {harmed} connections lost: {describe(ledger)}")
        asyncio.run(ask_again(server.address, ledger.granted() + ledger.unanswered()))
        asyncio.run(look_up(server.address, ledger.granted()))
        check_rows(database.rows(), database.concerts(), ledger)
        assert server.audit()["consistent"] is True
    assert harmed > 5
    assert len(ledger.granted()) > 20
