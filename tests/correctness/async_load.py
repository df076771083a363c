"""A load of reservations and releases on the strategy async, and what each was answered.

    under_load  while it goes on:
      buy         many clients, at each process: reserve, look at what was accepted, give some back
      watch       looks for what was accepted, at any process: it must be there at every moment
    check_all   afterwards, when all is well again:
      ask_again   each Idempotency-Key once more
      check       the rows against all that clients know; and Redis' numbers, and the audit

A client goes on when its connection breaks. Some reservations have no key: what became of those that
got no answer nobody can know, and so the rows may have them or not.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import json
import random
import time
from dataclasses import dataclass, field

from load import Client
from raw_http import make_request

ROW_STATUS = {2: "CONFIRMED", 3: "CANCELLED", 5: "REJECTED"}
# What a reservation can come to be from there.
AFTER = {
    None: {"PENDING", "CONFIRMED", "CANCELLED", "REJECTED"},
    "PENDING": {"PENDING", "CONFIRMED", "CANCELLED", "REJECTED"},
    "CONFIRMED": {"CONFIRMED", "CANCELLED"},
    "CANCELLED": {"CANCELLED"},
    "REJECTED": {"REJECTED"},
}
NOTHING_TAKEN = (409, 503, 504)
UNDECIDED = {"/problems/in-progress", "/problems/contended", "/problems/unavailable"}


@dataclass(eq=False)
class Sale:
    """One reservation that was asked for. answer: its status; None: none came."""

    number: int
    concert_id: int
    member_id: int
    quantity: int
    key: str | None
    answer: int | None = None
    id: str | None = None
    seen: str | None = None  # the reservation's own status, as last heard of
    released: str = "no"  # "asked": the DELETE got no answer or 500; "yes": 202 or 204

    def request(self) -> bytes:
        body = {"concertId": self.concert_id, "memberId": self.member_id, "quantity": self.quantity}
        return make_request("POST", "/api/reservations", body,
                            {"Idempotency-Key": self.key} if self.key else {})

    def accepted(self) -> bool:
        return self.answer == 202

    def in_doubt(self) -> bool:
        return self.answer in (None, 500)

    def content(self) -> tuple[int, int, int]:
        return self.concert_id, self.member_id, self.quantity

    def check_content(self, answer: dict) -> None:
        assert answer["id"] == self.id, (self, answer)
        found = answer["concertId"], answer["memberId"], answer["quantity"]
        assert found == self.content(), (self, answer)


@dataclass
class Ledger:
    """All that clients know. shape: concerts, members, largest, releases and keyless (shares)."""

    shape: dict
    sales: list[Sale] = field(default_factory=list)

    def new(self, chance: random.Random) -> Sale:
        shape = self.shape
        number = len(self.sales) + 1
        self.sales.append(Sale(
            number=number,
            concert_id=chance.randint(1, shape["concerts"]),
            member_id=chance.randint(1, shape["members"]),
            quantity=chance.randint(1, shape["largest"]),
            key=None if chance.random() < shape["keyless"] else f"k{number}",
        ))
        return self.sales[-1]

    def accepted(self) -> list[Sale]:
        return [sale for sale in self.sales if sale.accepted()]

    def describe(self) -> str:
        counts = collections.Counter(str(sale.answer) for sale in self.sales)
        counts["given back"] = sum(sale.released != "no" for sale in self.sales)
        return json.dumps(dict(sorted(counts.items())))


# --- while all goes on ------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def under_load(addresses, ledger: Ledger, chance: random.Random, clients: int,
                     grace_s: float = 10.0):
    """So many clients at each address. grace_s: whoever has no answer by then, at the end, leaves."""
    stop = asyncio.Event()
    works = [buy(address, ledger, random.Random(chance.random()), stop)
             for address in addresses for _ in range(clients)]
    works.append(watch(addresses, ledger, random.Random(chance.random()), stop))
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait(tasks, timeout=grace_s)
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result


async def buy(address, ledger: Ledger, chance: random.Random, stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            client = await Client.connect(address)
        except OSError:
            await asyncio.sleep(0.03)
            continue
        try:
            while not stop.is_set():
                await buy_once(client, ledger, chance)
        except OSError:
            pass
        finally:
            client.close()


async def buy_once(client: Client, ledger: Ledger, chance: random.Random) -> None:
    wanted = [ledger.new(chance) for _ in range(chance.choice([1, 1, 4]))]
    client.send(b"".join(sale.request() for sale in wanted))
    for sale in wanted:
        take_answer(sale, await client.read())
    first = wanted[0]
    if not first.accepted():
        await asyncio.sleep(0.02)
        return
    await look(client, first)
    if chance.random() < ledger.shape["releases"]:
        await give_back(client, first)


def take_answer(sale: Sale, response) -> None:
    sale.answer = response.status
    if response.status == 202:
        take_accepted(sale, response)
        assert "idempotent-replay" not in response.headers, response.raw
    else:
        assert response.status == 500 or response.status in NOTHING_TAKEN, response.raw
        sale.id = response.json().get("id") if response.status == 500 else None


def take_accepted(sale: Sale, response) -> None:
    answer = response.json()
    sale.id = answer["id"]
    sale.check_content(answer)
    assert response.headers["location"] == f"/api/reservations/{sale.id}"
    assert answer["status"] in AFTER[sale.seen], (sale, answer)
    sale.seen = answer["status"]


async def look(client: Client, sale: Sale) -> int:
    """An accepted reservation is there, and only goes forward; unless nobody can say at the moment."""
    before = sale.seen
    client.send(make_request("GET", f"/api/reservations/{sale.id}"))
    response = await client.read()
    if response.status == 200:
        answer = response.json()
        sale.check_content(answer)
        assert answer["status"] in AFTER[before], (sale, before, answer)
        if answer["status"] in AFTER[sale.seen]:
            sale.seen = answer["status"]  # else another connection heard later news
    else:
        assert response.status in (500, 503, 504), (sale, response.raw)
    return response.status


async def give_back(client: Client, sale: Sale) -> None:
    sale.released = "asked"
    client.send(make_request("DELETE", f"/api/reservations/{sale.id}"))
    response = await client.read()
    if response.status in (202, 204):
        sale.released = "yes"
    else:
        assert response.status in (500, 503, 504), (sale, response.raw)
        if response.status != 500:
            sale.released = "no"


async def watch(addresses, ledger: Ledger, chance: random.Random, stop: asyncio.Event) -> None:
    """What was accepted lately is looked for, at any of them."""
    while not stop.is_set():
        try:
            client = await Client.connect(chance.choice(addresses))
        except OSError:
            await asyncio.sleep(0.03)
            continue
        try:
            for _ in range(20):
                lately = [sale for sale in ledger.sales[-300:] if sale.accepted()]
                if lately:
                    await look(client, chance.choice(lately))
                await asyncio.sleep(0.005)
        except OSError:
            pass
        finally:
            client.close()


# --- afterwards -------------------------------------------------------------------------------------


def check_all(stack, ledger: Ledger, processes: list, sales: list[Sale] | None = None,
              rejected_max: int | None = 0) -> int:
    """When nothing is away any more. sales: those that are asked for again; all, by default."""
    addresses = api_addresses(processes)
    sales = ledger.sales if sales is None else sales

    async def ask_all_again() -> None:
        await asyncio.gather(*(ask_again(addresses[i % len(addresses)], sales[i::4]) for i in range(4)))

    asyncio.run(ask_all_again())
    stack.wait_until_settled()
    rows = stack.database.rows()
    rejected = check(rows, stack.database.concerts(), ledger, rejected_max)
    stack.check_quiet()
    assert all(process.audit()["consistent"] is True for process in processes)
    return rejected


def api_addresses(processes: list) -> list:
    return [process.address for process in processes if process.role != "consumer"]


async def ask_again(address, sales: list[Sale]) -> None:
    """Those with a key: the first answer again; what had none has one now. As a patient client."""
    sales = [sale for sale in sales if sale.key and (sale.accepted() or sale.in_doubt())]
    client = await Client.connect(address)
    give_up = time.monotonic() + 30
    while sales:
        undecided = []
        for begin in range(0, len(sales), 50):
            part = sales[begin : begin + 50]
            client.send(b"".join(sale.request() for sale in part))
            for sale in part:
                response = await client.read()
                undecided += [sale] if not take_second_answer(sale, response) else []
        assert not undecided or time.monotonic() < give_up, undecided[0]
        sales = undecided
        await asyncio.sleep(0.05 if sales else 0)
    client.close()


def take_second_answer(sale: Sale, response) -> bool:
    """False: not decided yet."""
    if response.status == 500 or response.status in NOTHING_TAKEN:
        if response.status in (500, 504) or response.json()["type"] in UNDECIDED:
            return False
    if not sale.accepted():
        assert response.status in (202, 409), (sale, response.raw)
        sale.answer = response.status
        if response.status == 202:
            take_accepted(sale, response)
        return True
    assert response.status == 202, (sale, response.raw)
    assert response.headers["idempotent-replay"] == "true", (sale, response.raw)
    before = sale.id
    take_accepted(sale, response)
    assert sale.id == before, (sale, response.raw)
    return True


def check(rows: dict, concerts: list, ledger: Ledger, rejected_max: int | None = 0) -> int:
    """(concert, member, quantity, status) by id, and (id, capacity, sold): each promise is one row,
    and no row is without somebody who may have been promised it. Gives the number of those that were
    accepted and then did not fit; rejected_max: so many may be; None: any."""
    accepted = {sale.id: sale for sale in ledger.accepted()}
    assert len(accepted) == len(ledger.accepted()), "one id for two requests"
    lost = set(accepted) - set(rows)
    assert not lost, f"lost: {[accepted[sale_id] for sale_id in lost][:5]}"
    rejected, live = 0, collections.Counter()
    for row_id, (*content, status) in rows.items():
        if ROW_STATUS[status] == "CONFIRMED":
            live[content[0]] += content[2]
        if row_id in accepted:
            sale = accepted[row_id]
            assert tuple(content) == sale.content(), (sale, content)
            check_status(sale, ROW_STATUS[status])
            rejected += ROW_STATUS[status] == "REJECTED"
    check_others({row_id: row for row_id, row in rows.items() if row_id not in accepted}, ledger)
    for concert_id, capacity, sold in concerts:
        assert sold == live[concert_id], f"concert {concert_id}: sold {sold}, rows {live[concert_id]}"
        assert 0 <= sold <= capacity, f"concert {concert_id} oversold"
    assert rejected_max is None or rejected <= rejected_max, f"{rejected} that were accepted did not fit"
    return rejected


def check_status(sale: Sale, status: str) -> None:
    assert status in AFTER[sale.seen], (sale, status)
    wanted = {"no": {"CONFIRMED", "REJECTED"}, "yes": {"CANCELLED", "REJECTED"},
              "asked": {"CONFIRMED", "CANCELLED", "REJECTED"}}
    assert status in wanted[sale.released], (sale, status)


def check_others(rows: dict, ledger: Ledger) -> None:
    """Rows of requests that got no answer, or that nobody knows: at most one for each of these."""
    doubts = collections.Counter(sale.content() for sale in ledger.sales if sale.in_doubt())
    for row_id, (*content, _) in rows.items():
        doubts[tuple(content)] -= 1
        assert doubts[tuple(content)] >= 0, f"{row_id}: nobody was promised {content}"
