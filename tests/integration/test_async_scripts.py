"""The async strategy's scripts on a real Redis: what a concert's numbers are after each.

The invariant throughout: stock = capacity - sold - seats pending, sold as of the gate's position.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from services.redis import Redis  # noqa: E402

COMMON = ("settled", "settled_before", "concerts", "complete")
KEYS = ("{c:1}:gate", "{c:1}:pending", "{c:1}:members", *COMMON)
GATE, PENDING, MEMBERS = KEYS[:3]
RUN, EPOCH, BUILDER = "run", 1, "builder"
OWNER, LATER = "part" "topi" "owner", "part" "topi" "later"  # partition, topic, which
LARGEST = 2**53 - 1


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with Redis(tmp_path_factory.mktemp("stock")) as server:
        yield server


class Stock:
    """One concert; reservations are named by a number, which makes their 16 bytes of id."""

    def __init__(self, node: Redis, concert: int = 1):
        self.node, self.concert = node, concert
        self.keys = [key.replace("c:1", f"c:{concert}") for key in KEYS]
        if concert == 1:
            node.call("FLUSHALL")
            node.call("HSET", "complete", "0", RUN, "run", RUN, "token", "token")

    def run(self, script: str, *arguments):
        text = (ROOT / "strategies" / "async" / f"{script}.lua").read_text()
        return self.node.call("EVAL", text, len(self.keys), *self.keys, *arguments)

    @staticmethod
    def id(number: int) -> str:
        return f"{number:016d}"

    def event(self, number: int, member: int, quantity: int, created_ms: int, key: str) -> str:
        return f"1 reserve {number} 1 {member} {quantity} {created_ms} {EPOCH} {key}"

    def reserve(self, number: int, quantity=1, member=5, created_ms=1000, key="-"):
        event = self.event(number, member, quantity, created_ms, key)
        answer = self.run("reserve", RUN, EPOCH, self.concert, "token", quantity,
                          1 if key == "k" else 0, self.id(number), event, member, quantity)
        if answer == [4]:
            return 1
        return answer[1] if answer[0] == 1 else None

    def reserve_all(self, token: str, *requests):
        """In one call: (number, key) of each."""
        words = [word for number, key in requests
                 for word in (self.id(number), self.event(number, 5, 1, 1000, key))]
        keyed = [key for number, key in requests if key == "k"]
        return self.run("reserve", RUN, EPOCH, self.concert, token, len(requests), len(keyed),
                        *words, *[5, 1] * len(requests))

    def open(self, position=10, capacity=100, sold=40, limit=0, members=(), builder=BUILDER):
        assert self.run("rebuild", "clear", RUN, EPOCH, builder, 0) == 1
        if members:
            assert self.run("rebuild", "members", RUN, EPOCH, builder, *members) == 1
        return self.run("rebuild", "open", RUN, EPOCH, builder, position, capacity, sold, limit, 1,
                        OWNER, 0)

    def settle(self, position, sold, ids=(), *, run=RUN, epoch=EPOCH, capacity=100, limit=0,
               members=(), applied_ms=1000, now_ms=1000, mark="-", owner=OWNER):
        pairs = [word for number in ids for word in (self.id(number), mark)]
        return self.run("settle", run, epoch, position, capacity, sold, limit, applied_ms, now_ms,
                        owner, len(ids), *pairs, *members)

    def sweep(self, now_ms, sold=40, capacity=100, limit=0):
        return self.run("sweep", RUN, now_ms, 5000, "0", 100, sold, capacity, limit)

    def numbers(self):
        return [int(text) for text in self.run("numbers", RUN)]

    def field(self, key, name):
        return self.node.call("HGET", key, name)


@pytest.fixture
def stock(node):
    return Stock(node)


def test_a_closed_gate_sells_nothing(stock):
    assert stock.reserve(1) is None
    assert stock.run("numbers", RUN) == []


def test_who_has_not_begun_opens_nothing(stock):
    assert stock.run("rebuild", "open", RUN, EPOCH, BUILDER, 10, 100, 0, 0, 1, OWNER, 0) == -1
    assert stock.run("rebuild", "clear", RUN, EPOCH, BUILDER, 0) == 1
    assert stock.run("rebuild", "clear", RUN, EPOCH, "another", 0) == 1
    assert stock.run("rebuild", "open", RUN, EPOCH, BUILDER, 10, 100, 0, 0, 1, OWNER, 0) == -1
    assert stock.reserve(1) is None


def test_an_open_gate_is_not_made_anew(stock):
    assert stock.open() == 1
    assert stock.run("rebuild", "clear", RUN, EPOCH, "another", 0) == 0
    assert stock.numbers() == [60, 0]


def test_settled_ids_leave_pending(stock):
    stock.open()
    assert stock.reserve(1, 2) == 1 and stock.reserve(2, 3, key="k") == 1
    assert stock.numbers() == [55, 5]
    assert stock.settle(12, 45, [1, 2], mark="k") == [1, 55, 0]
    assert stock.node.call("HLEN", PENDING) == 0 and stock.node.call("HLEN", KEYS[5]) == 0
    assert stock.reserve(2, 3, key="k") == 4
    assert stock.settle(12, 45, [1, 2], mark="k") == [1, 55, 0]  # its answer had been lost


def test_an_id_that_comes_twice_leaves_pending_once(stock):
    stock.open()
    stock.reserve(1, 3, key="k")
    stock.reserve(2, 2)
    assert stock.settle(12, 43, [1, 1], mark="k") == [1, 55, 2]


def test_a_keyed_id_that_was_lost_is_known_when_the_gate_opens(stock):
    stock.settle(12, 45, [1], mark="k")  # behind a closed gate
    assert stock.open(position=12, sold=45) == 1
    assert stock.reserve(1, 3, key="k") == 4
    assert stock.reserve(1, 3) == 1 and stock.numbers() == [52, 3]


def test_numbers_move_forward_only(stock):
    stock.open()
    stock.reserve(1, 3)
    assert stock.settle(15, 43) == [1, 54, 3]  # a later batch: the row of 1 is sold by then
    assert stock.settle(14, 40, [1]) == [0, 57, 0]
    assert stock.field(GATE, "sold") == "43" and stock.field(GATE, "position") == "15"


def test_another_run_or_a_reset_settles_nothing(stock):
    stock.open()
    stock.reserve(1)
    assert stock.settle(99, 0, run="another") == [-1, 0, 0]
    assert stock.settle(99, 0, epoch=EPOCH + 1) == [-1, 0, 0]
    assert stock.settle(99, 0, [1], epoch=EPOCH - 1) == [-2, 0, 0]
    assert stock.numbers() == [59, 1] and stock.field(GATE, "position") == "10"


def test_what_is_pending_counts_when_the_gate_opens(stock):
    stock.open()
    stock.reserve(1, 2, member=6)
    stock.run("close", "gate")
    assert stock.reserve(2) is None
    assert stock.run("scan", "0", 100) == ["0", stock.id(1)]
    assert stock.open(sold=48, limit=4, members=(6, 2, 7, 1)) == 1
    assert stock.numbers() == [50, 2]
    assert stock.field(MEMBERS, "6") == "2" and stock.field(MEMBERS, "p6") == "2"
    assert stock.reserve(3, 1, member=6) == 3


def test_behind_a_closed_gate_rows_leave_pending(stock):
    stock.open()
    stock.reserve(1, 2)
    stock.run("close", "gate")
    assert stock.settle(0, 0, [1]) == [-1, 0, 0]
    stock.open(sold=42)
    assert stock.numbers() == [58, 0]


def test_members_seats_are_what_the_database_has(stock):
    stock.open(limit=4)
    stock.reserve(1, 3, member=6)
    assert stock.settle(11, 43, [1], limit=4, members=(6, 3)) == [1, 57, 0]
    assert stock.field(MEMBERS, "6") == "3" and stock.field(MEMBERS, "p6") is None
    assert stock.settle(12, 40, limit=4, members=(6, 0)) == [1, 60, 0]
    assert stock.field(MEMBERS, "6") is None
    assert stock.settle(11, 43, limit=4, members=(6, 3))[0] == 0
    assert stock.field(MEMBERS, "6") is None


def test_a_limit_that_comes_closes_the_gate(stock):
    stock.open(limit=4, members=(6, 2))
    assert stock.settle(11, 40, limit=0) == [1, 60, 0]
    assert stock.node.call("EXISTS", MEMBERS) == 0
    assert stock.settle(12, 40, limit=2) == [-3, 0, 0]
    assert stock.reserve(1) is None


def test_another_topic_says_nothing_of_this_one(stock):
    stock.open()
    assert stock.settle(3, 40, owner="part" "othr" "owner") == [-3, 0, 0]
    assert stock.reserve(1) is None


def test_what_another_owner_has_not_settled_is_looked_for(stock):
    stock.open()
    stock.reserve(1)
    stock.reserve(2)
    # 1 has its row, and its consumer died behind the COMMIT: it is pending, and sold.
    assert stock.settle(12, 42, ids=(2,), owner=LATER) == [-3, 0, 0]
    assert stock.reserve(3) is None
    stock.settle(12, 42, ids=(1,), owner=LATER)  # the barrier's batch has seen the row
    assert stock.open(position=12, sold=42) == 1
    assert stock.numbers() == [58, 0]


def test_a_full_redis_takes_settles_and_sells_again(stock, node):
    stock.open(capacity=10**9)

    def used_bytes():
        return int(re.search(r"used_memory:(\d+)", node.call("INFO", "memory"))[1])

    node.call("CONFIG", "SET", "maxmemory", used_bytes() + 2**20)
    try:
        taken = 0
        with pytest.raises(Exception, match="OOM"):
            while taken < 10**6:
                numbers = range(taken, taken + 100)
                stock.reserve_all("token", *((number, "-") for number in numbers))
                taken += 100
        assert taken > 0
        node.call("CONFIG", "SET", "maxmemory", used_bytes() - 2**16)
        with pytest.raises(Exception, match="OOM"):
            node.call("SET", "x", "x")
        for first in range(0, taken, 100):
            assert stock.settle(11 + first, 40 + first + 100, ids=range(first, first + 100),
                                capacity=10**9)[0] == 1
        assert stock.numbers() == [10**9 - 40 - taken, 0]
        assert stock.reserve(taken + 1) == 1
        stock.sweep(10**6)
    finally:
        node.call("CONFIG", "SET", "maxmemory", 0)


def test_what_another_owner_settled_before_may_be_missing(stock):
    stock.open(limit=4, members=(6, 2))
    assert stock.settle(9, 38, limit=4, owner=LATER)[0] == 0  # older: changes nothing
    assert stock.settle(11, 40, limit=4, owner=OWNER) == [1, 60, 0]
    assert stock.settle(12, 40, limit=4, owner=LATER) == [-3, 0, 0]
    assert stock.settle(13, 40, limit=4, owner=LATER) == [-1, 0, 0]
    stock.open(position=13)
    # Without a limit it does not matter.
    assert stock.settle(14, 40, owner=LATER) == [1, 60, 0]


def test_positions_of_another_partition_say_nothing(stock):
    assert stock.open(position=1000) == 1 and stock.reserve(1) == 1
    assert stock.settle(11, 40, owner="\0\0\0\1") == [-3, 0, 0]
    assert stock.reserve(2) is None
    assert stock.settle(12, 40, owner="\0\0\0\1") == [-1, 0, 0]
    assert stock.open(position=12) == 1 and stock.numbers() == [59, 1]


def test_who_makes_numbers_anew_while_the_gate_is_closed_once_more_opens_nothing(stock):
    assert stock.run("rebuild", "clear", RUN, EPOCH, BUILDER, 0) == 1
    assert stock.run("close", "gate") == 1
    assert stock.run("rebuild", "open", RUN, EPOCH, BUILDER, 10, 100, 40, 0, 1, OWNER, 0) == -1


def test_a_key_is_one_reservation_in_all_concerts(stock, node):
    other = Stock(node, 2)
    stock.open(), other.open()
    assert stock.reserve(1, key="k") == 1
    assert other.reserve(1, key="k") == 5  # pending in another concert
    stock.settle(11, 41, [1], mark="k")
    assert other.reserve(1, key="k") == 4  # its row is there
    assert other.numbers() == [60, 0]
    assert other.reserve(2, key="k") == 1
    other.settle(11, 41, [2], mark="k")
    assert stock.reserve(2, key="k") == 4 and stock.reserve(1, key="k") == 4


def test_all_at_once_are_taken_like_one_by_one(stock, node):
    stock.open(capacity=43)
    assert stock.reserve_all("token", (1, "-"), (2, "-")) == [4]
    assert stock.numbers() == [1, 2]
    for number in (1, 2):
        assert int(node.call("HGET", "concerts", stock.id(number))) == stock.concert
        assert stock.field(PENDING, stock.id(number)) == stock.event(number, 5, 1, 1000, "-")
    assert stock.reserve_all("token", (1, "-"), (2, "-")) == [1, 1, 1]  # they are its own
    assert stock.reserve_all("token", (3, "-"), (4, "-")) == [1, 1, 2]  # seats for one
    assert stock.numbers() == [0, 3]


def test_a_key_whose_row_was_looked_for_too_early_takes_nothing(stock, node):
    stock.open()
    assert stock.reserve_all("", (1, "-")) == [4]  # only keys have a row from before
    assert stock.reserve_all("", (2, "-"), (3, "k")) == [3, "token"]
    assert stock.reserve_all("before", (3, "k")) == [3, "token"]
    assert stock.numbers() == [59, 1]
    assert stock.reserve_all("token", (3, "k")) == [1, 1]


def test_behind_a_loss_of_data_keys_wait(stock, node):
    stock.open()
    assert stock.reserve(1, key="k") == 1
    for harm in (("HSET", "complete", "run", "another"), ("DEL", "complete")):
        node.call(*harm)
        known = stock.event(1, 5, 1, 1000, "k") + "+"
        assert stock.reserve_all("token", (1, "k"), (2, "k"), (3, "-")) == [1, known, 6, 1]
    assert stock.numbers() == [58, 2]


def test_evicted_pending_makes_keys_wait(stock, node):
    stock.open()
    stock.reserve(1, key="k")
    node.call("DEL", PENDING)
    assert stock.reserve_all("token", (2, "-")) == [0]
    node.call("HSET", "complete", "0", RUN)  # not all are complete yet
    stock.open()
    assert stock.reserve_all("token", (1, "k")) == [1, 6]


def test_who_looks_an_id_up_hears_whether_it_may_have_been_lost(stock, node):
    stock.open()
    stock.reserve(1)

    def probe(key, number, mark="", run=RUN):
        text = (ROOT / "strategies" / "async" / "probe.lua").read_text()
        return node.call("EVAL", text, 2, key, "complete", stock.id(number), mark, run)

    event = stock.event(1, 5, 1, 1000, "-")
    assert probe("concerts", 1) == "1"
    assert probe(PENDING, 1) == event
    assert probe(PENDING, 1, "+") == event + "+" and probe(PENDING, 1, "+") == event + "+"
    assert stock.field(PENDING, stock.id(1)) == event + "+"
    assert [probe(key, 2, "+") for key in ("concerts", PENDING)] == [1, 1]
    assert probe("concerts", 2, run="next") == 0
    node.call("DEL", "complete")
    assert [probe(key, 2) for key in ("concerts", PENDING)] == [0, 0]
    assert probe("concerts", 1) == "1"


class Complete:
    KEY = "complete"

    def __init__(self, node):
        self.node = node
        self.node.call("FLUSHALL")

    def run(self, *partitions, run=RUN, owner="me", token="token", total=2):
        text = (ROOT / "strategies" / "async" / "complete.lua").read_text()
        return self.node.call("EVAL", text, 1, self.KEY, run, owner, token, total, *partitions)

    def fields(self, *names):
        return [self.node.call("HGET", self.KEY, name) for name in names]


def test_a_partition_is_complete_when_its_owner_says_so_a_second_time(node):
    complete = Complete(node)
    assert complete.run(0, 1) == [0]  # whatever was applied before this Redis was met
    assert complete.run(0, 0) == [2]
    assert complete.run(0, 1) == [1]
    assert complete.run(0, 0, 1, 0) == [1, 0]
    assert complete.fields("0", "1", "run", "token") == [RUN, None, None, None]
    assert complete.run(1, 1, owner="other", token="first") == [0]  # it begins anew
    assert complete.run(1, 1, token="first") == [0]
    assert complete.run(1, 1, token="second") == [1]
    assert complete.fields("0", "1", "run", "token") == [RUN, RUN, RUN, "second"]
    assert complete.run(0, 0, 1, 0, token="third") == [1, 1]
    assert complete.fields("token") == ["second"]


def test_another_redis_is_not_complete(node):
    complete = Complete(node)
    complete.run(0, 0, total=1)
    assert complete.run(0, 1, run="next", total=1) == [0]  # from its file: but nothing is true
    assert complete.run(0, 1, run="next", total=1) == [1]
    assert complete.fields("0", "run") == ["next", "next"]
    node.call("DEL", complete.KEY)
    assert complete.run(0, 1, run="next", total=1) == [0]


def test_only_what_was_overtaken_is_swept(stock):
    stock.open()
    stock.reserve(1, created_ms=2000)
    stock.reserve(2, created_ms=9000)
    assert stock.sweep(5000) == ["0", 0, 2]  # the gate was opened at 1
    assert stock.sweep(12000) == ["0", 1, 2]  # old, but nothing later was applied: a barrier
    stock.settle(11, 40, applied_ms=7000, now_ms=6500)
    assert stock.field(GATE, "applied_ms") == "6500"  # a clock that is ahead
    stock.settle(11, 40, applied_ms=7000, now_ms=7000)
    event = stock.event(1, 5, 1, 2000, "-")
    assert stock.sweep(17000) == ["0", 1, 2, event + "+"]
    assert stock.run("undo", RUN, stock.id(1), event, 5, 1) == 0  # it may be in the log now
    assert stock.sweep(17001) == ["0", 0, 2]  # too soon


@pytest.mark.parametrize("other", [{"sold": 39}, {"capacity": 99}, {"limit": 1}])
def test_numbers_that_are_not_the_databases_ask_for_a_barrier(stock, other):
    stock.open()
    assert stock.sweep(10000) == ["0", 0, 0]
    assert stock.sweep(20000, **other) == ["0", 1, 0]


def test_keys_are_remembered_for_a_minute_at_least(stock):
    stock.open()
    for number, now_ms in ((1, 200000), (2, 250000), (3, 300000), (4, 380000)):
        assert stock.reserve(number, key="k") == 1
        stock.settle(10 + number, 40, [number], now_ms=now_ms, mark="k")
    assert [stock.reserve(number, key="k") for number in (3, 4)] == [4, 4]
    assert stock.reserve(1, key="k") == 1


def test_the_largest_numbers_are_exact(stock):
    stock.open()
    stock.reserve(1, 1)
    assert stock.settle(LARGEST, 5, capacity=LARGEST)[0] == 1
    assert stock.numbers() == [LARGEST - 6, 1]
    assert stock.field(GATE, "position") == str(LARGEST)


def test_a_reset_leaves_nothing(stock):
    stock.open(limit=4, members=(6, 2))
    stock.reserve(1)
    assert stock.run("close", "all") == 1
    assert stock.node.call("KEYS", "*") == ["complete"]  # a reset is no loss of data
