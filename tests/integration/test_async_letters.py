"""Records that nobody should have put into the log: they become dead letters, with the reason, and the
partition goes on. Listing and sending again by the admin API; on real servers.
"""

from __future__ import annotations

import re
import time
import uuid

import pytest
from async_fixtures import CANCELLED, CONFIRMED, REJECTED
from kafka_records import partition_of, publish
from resvd_process import wait_until

PARTITIONS = 3
LARGEST = 2**53 - 1
ID = "018f0000-0000-7000-8000-0000000000aa"

# What is in the record, and a part of the reason.
UNREADABLE = [
    (None, "empty"),
    (b"", "empty"),
    (b"garbage", "no event"),
    (b"\n", "no event"),
    (bytes(range(256)) * 4, "too long"),
    (b"1 reserve \xff\xfe\x00 1 7 2 1000 1 -", "UUID"),
    (b"1 reserve " + b"9" * 1_000_000, "too long"),
    (f"2 reserve {ID} 1 7 2 1000 1 -".encode(), "version"),
    (f"1 refund {ID} 1 7 2 1000 1 -".encode(), "kind"),
    (b"1 reserve 7 1 7 2 1000 1 -", "UUID"),
    (f"1 reserve {ID} 0 7 2 1000 1 -".encode(), "concert"),
    (f"1 reserve {ID} 1 -7 2 1000 1 -".encode(), "member"),
    (f"1 reserve {ID} 1 7 {LARGEST + 1} 1000 1 -".encode(), "quantity"),
    (f"1 reserve {ID} 1 7 {'9' * 30} 1000 1 -".encode(), "quantity"),
    (f"1 reserve {ID} 1 7 2 soon 1 -".encode(), "time"),
    (f"1 reserve {ID} 1 7 2 1000 -1 -".encode(), "epoch"),
    (f"1 reserve {ID} 1 7 2 1000 1 x".encode(), "last field"),
    (f"1 release {ID} 1 7 2 1000 1 -".encode(), "reservation's only"),
]


class Log:
    """Its topics, written by hand."""

    def __init__(self, promises):
        self.stack = promises.stack
        self.events = f"{self.stack.name}-events"
        self.letters = f"{self.stack.name}-letters"

    def put(self, partition: int, *values: bytes | None, key: bytes | None = None) -> int:
        return publish(self.stack.kafka.port, self.events, partition, [(key, value) for value in values])

    def event(self, concert: int, member: int, quantity: int = 1, *, epoch: int | None = None,
              found: str | None = None, created_ms: int | None = None) -> tuple[str, bytes]:
        """Its id, and what resvd would write."""
        found = found or str(uuid.uuid4())
        epoch = int(self.stack.gate(1)["epoch"]) if epoch is None else epoch
        created_ms = int(time.time() * 1000) if created_ms is None else created_ms
        return found, f"1 reserve {found} {concert} {member} {quantity} {created_ms} {epoch} -".encode()

    def put_event(self, value: bytes, concert: int) -> int:
        """Where its concert's events are."""
        key = str(concert).encode()
        return self.put(partition_of(key, PARTITIONS), value, key=key)


@pytest.fixture
def log(promises):
    return Log(promises)


def letters(server) -> list[dict]:
    answer = server.admin("GET", "/admin/dead-letters?limit=1000")
    assert answer.status == 200, answer.raw
    assert answer.json()["nextCursor"] is None
    return answer.json()["items"]


def wait_for_letters(server, count: int, but: tuple = (), timeout_s: float = 20.0) -> list[dict]:
    """Besides these."""
    found = []

    def are_there() -> bool:
        found[:] = [letter for letter in letters(server) if letter["id"] not in but]
        return len(found) >= count

    wait_until(are_there, f"{count} dead letters", timeout_s, pause_s=0.1)
    assert len(found) == count, found
    return found


def retry(server, letter: dict) -> None:
    answer = server.admin("POST", f"/admin/dead-letters/{letter['id']}/retry")
    assert (answer.status, answer.json()) == (202, {"id": letter["id"]})


def test_what_cannot_be_read(promises, log):
    server = promises.start()
    for concert in range(1, 7):
        promises.sell(server, concert)
    wanted = {0: UNREADABLE, 1: UNREADABLE[:2], 2: UNREADABLE[-2:]}
    for partition, some in wanted.items():
        for value, _ in some[:4]:
            log.put(partition, value, key=b"1")
        if some[4:]:
            log.put(partition, *(value for value, _ in some[4:]), key=b"1")
    behind = [promises.sell(server, concert) for concert in range(1, 7)]
    found = wait_for_letters(server, len(UNREADABLE) + 4)
    for location in behind:
        promises.wait_for(server, location, CONFIRMED)
    server.wait_metric("async_dead_letters_total", len(found))
    for partition, some in wanted.items():
        own = [letter for letter in found if letter["id"].startswith(f"{partition}-")]
        for letter, (value, words) in zip(own, some, strict=True):
            assert words in letter["reason"], (letter, value)
            shown = "".join(chr(byte) if 32 <= byte < 127 else "?" for byte in value or b"")
            assert letter["event"] == shown[:400]
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", letter["failedAt"])
    # In pages.
    items, cursor = [], ""
    while cursor is not None:
        page = server.admin("GET", f"/admin/dead-letters?limit=9{cursor and '&cursor=' + cursor}").json()
        assert len(page["items"]) <= 9
        items, cursor = items + page["items"], page["nextCursor"]
    assert items == found
    # One that is sent again comes back, as another.
    retry(server, found[0])
    (again,) = wait_for_letters(server, 1, but=tuple(letter["id"] for letter in found))
    assert again["reason"] == found[0]["reason"]
    assert found[0]["id"] not in [letter["id"] for letter in letters(server)]
    # They are over, once the position is behind them: nobody who starts comes to them again.
    server.wait_metric("async_dead_letters_total", len(found) + 1)
    before = letters(server)
    assert server.stop() == 0
    server = promises.start(reset=None)
    promises.wait_for(server, promises.sell(server, 1), CONFIRMED)
    assert letters(server) == before
    assert server.metric("async_dead_letters_total") == 0


@pytest.mark.parametrize("what", ["concert", "member"])
def test_what_is_not_there_yet(promises, log, what):
    """Sent again too early it is a letter again; sent again later it is applied, once."""
    server = promises.start()
    promises.sell(server)
    promises.wait_complete(server)
    concert, member = (11, 7) if what == "concert" else (1, 21)
    found, value = log.event(concert, member, 3)
    for _ in range(2):
        log.put_event(value, concert)
    promises.wait_for(server, promises.sell(server), CONFIRMED)
    first, second = wait_for_letters(server, 2)
    assert first["reason"] == second["reason"] == f"unknown {what}"
    assert first["concertId"] == concert and first["event"] == value.decode()
    server.ask("GET", f"/api/reservations/{found}").problem(404)
    retry(server, first)
    (third,) = wait_for_letters(server, 1, but=(first["id"], second["id"]))
    assert third["reason"] == first["reason"] and third["event"] == first["event"]
    if what == "concert":
        created = server.admin("POST", "/admin/concerts", {"title": "Late", "capacity": 5}).json()
    else:
        created = server.admin("POST", "/admin/members", {"name": "Late"}).json()
    assert created["id"] == max(concert if what == "concert" else 0, member if what == "member" else 0)
    for letter in (second, third):
        retry(server, letter)
    location = f"/api/reservations/{found}"
    wait_until(lambda: server.ask("GET", location).status == 200, "the row")
    assert promises.status(server, location) == CONFIRMED
    promises.accepted[found] = (concert, member, 3)
    wait_until(lambda: server.metric("async_duplicates_total") >= 1, "the other one was absorbed")
    assert letters(server) == []
    for letter in (first, second, third):
        answer = server.admin("POST", f"/admin/dead-letters/{letter['id']}/retry")
        assert answer.problem(404, "not-found")


def test_a_seat_that_was_accepted_comes_back(promises, log):
    """Its member is gone when it is to be applied; and has its seat when he is there again."""
    api = promises.start(role="api")
    consumer = promises.start(role="consumer", reset=None)
    promises.sell(api, 1)
    assert consumer.stop() == 0
    location = promises.sell(api, 1, 5, 10)
    promises.stack.database.sql("DELETE FROM members WHERE id = 5")
    consumer = promises.start(role="consumer", reset=None)
    promises.wait_complete(api)
    (letter,) = wait_for_letters(api, 1)
    assert letter["reason"] == "unknown member"
    lines = []  # without these numbers while the gate is closed
    wait_until(lambda: lines.append(promises.line(api)) or lines[-1].get("pending") == 0,
               "it is not pending any more")
    line = lines[-1]
    assert (line["sold"], line["stock"], line["consistent"]) == (1, 99, True)
    api.ask("GET", location).problem(404)
    assert letters(consumer) == [letter]
    promises.stack.database.sql("INSERT INTO members (id, name) VALUES (5, 'back')")
    retry(consumer, letter)
    wait_until(lambda: api.ask("GET", location).status == 200, "the row")
    promises.wait_for(api, location, CONFIRMED)
    wait_until(lambda: promises.line(api).get("stock") == 89, "settled")


def test_events_that_can_be_read_but_are_absurd(promises, log):
    """They are decided as any other one: rejected, void, or nothing at all."""
    server = promises.start()
    promises.sell(server)
    promises.wait_complete(server)
    epoch = int(promises.stack.gate(1)["epoch"])
    too_many, value = log.event(1, 7, LARGEST)
    log.put_event(value, 1)
    in_future, value = log.event(1, 7, 1, created_ms=LARGEST)
    log.put_event(value, 1)
    void, value = log.event(1, 7, 1, epoch=epoch - 1)
    log.put_event(value, 1)
    log.put_event(f"1 release {uuid.uuid4()} 1 - - 1000 {epoch} -".encode(), 1)  # of nothing
    log.put_event(f"1 settle {uuid.uuid4()} 77 - - 1000 {epoch} -".encode(), 77)  # no such concert
    log.put_event(f"1 release {in_future} 1 - - 1000 {epoch} -".encode(), 1)
    promises.possible |= {too_many, in_future}
    promises.wait_for(server, promises.sell(server), CONFIRMED)
    assert promises.status(server, f"/api/reservations/{too_many}") == REJECTED
    promises.wait_for(server, f"/api/reservations/{in_future}", CANCELLED)
    server.ask("GET", f"/api/reservations/{void}").problem(404)
    server.wait_metric("async_stale_total", 1)
    assert letters(server) == []


def test_letters_written_by_hand(promises, log):
    """The last one of a key counts, one without bytes ends it; what is no letter is passed over."""
    server = promises.start()
    promises.sell(server)
    found, value = log.event(1, 4)
    port = promises.stack.kafka.port
    publish(port, log.letters, 0, [
        (b"0-5000", b"older reason\n" + value), (b"0-5000", b"reason\n" + value),
        (b"1-7000", b"over\n" + value), (b"1-7000", None),
        (b"", b"reason\n" + value), (b"x-1", b"reason\n"), (b"2-007", b"reason\n"),
        (b"2-1", b"no event in it"),
    ])
    (first, second) = letters(server)
    assert (first["id"], first["reason"], first["concertId"]) == ("0-5000", "reason", 1)
    assert (second["id"], second["reason"], second["event"]) == ("2-1", "no event in it", "")
    server.admin("POST", "/admin/dead-letters/1-7000/retry").problem(404)
    retry(server, first)
    promises.accepted[found] = (1, 4, 1)
    wait_until(lambda: server.ask("GET", f"/api/reservations/{found}").status == 200, "the row")
    assert [letter["id"] for letter in letters(server)] == ["2-1"]


def test_an_event_in_another_partition_than_its_concerts(promises, log):
    """As when partitions were added to the topic: the two positions say nothing of each other."""
    server = promises.start()
    for _ in range(5):
        promises.sell(server, 1)
    promises.wait_complete(server)
    opened = server.metric("async_gates_opened_total")
    other = (partition_of(b"1", PARTITIONS) + 1) % PARTITIONS
    epoch = int(promises.stack.gate(1)["epoch"])
    ahead = [f"1 settle 018f0000-0000-7000-8000-0000000000{at:02x} 9 - - 1000 {epoch} -"
             for at in range(200)]
    log.put(other, *(text.encode() for text in ahead), key=b"9")
    server.wait_metric("async_gates_opened_total", opened + 1)  # concert 9's
    found, value = log.event(1, 7, 2)
    log.put(other, value, key=b"1")
    promises.possible.add(found)
    wait_until(lambda: server.ask("GET", f"/api/reservations/{found}").status == 200, "it has its row")
    # Behind its COMMIT Redis is told: this gate is closed, and opened with the right numbers.
    server.wait_metric("async_gates_opened_total", opened + 2)
    for _ in range(5):
        promises.sell(server, 1)
    assert log.stack.gate(1)["stock"] == str(100 - 12)
