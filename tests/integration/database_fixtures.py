"""Fixtures on a real MariaDB: one server for a file of tests and a fresh database for each test; or
a server of the test's own, to be killed, paused or reconfigured.

A test names the server or database before `serve`: what is set up last stops first.
"""

from __future__ import annotations

import itertools
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from redis_nodes import LOCK_NODES, prefix, shared_nodes
from resvd_fixtures import finish, starter
from resvd_process import Resvd, run_resvd, wait_until

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from services import MariaDB, SqlError  # noqa: E402

# Small, so that it starts in a tenth of a second, also after kill -9.
SMALL = {"innodb-buffer-pool-size": "32M", "innodb-log-file-size": "16M"}

# How resvd can sell on a database: name, strategy, options.
KINDS = {
    "pessimistic": ("pessimistic", {"strategy__pessimistic__form": "statements"}),
    "procedure": ("pessimistic", {"strategy__pessimistic__form": "procedure"}),
    "grouped": ("grouped", {}),
    "redlock": ("redlock", {}),
    "redlock_off": ("redlock", {"strategy__redlock__handoff": "off"}),
    "naive": ("naive", {}),
}
HONEST = ["pessimistic", "procedure", "grouped", "redlock"]

STANDARD = {"concerts": 10, "capacity": 100, "members": 20}
CONFIGURATION, UNREACHABLE = 78, 69  # exit codes
LIVE = (1, 2)  # HELD, CONFIRMED in reservations.status
numbers = itertools.count(1)


def require_strategy(name: str) -> None:
    """Skips where the binary was built without it."""
    listed = run_resvd("--list-strategies").stdout
    if name not in listed.split():
        pytest.skip(f"this resvd was built without the strategy {name}")


def strategy_options(kind: str, database: Database | None = None) -> dict:
    """For Resvd(): which strategy, and its form; locks are kept apart by the database's name."""
    strategy, options = KINDS[kind]
    require_strategy(strategy)
    more = {"arguments": ["--i-know-this-oversells"]} if strategy == "naive" else {}
    if kind in LOCK_NODES:
        more = shared_nodes(LOCK_NODES[kind]).options()
    if kind in LOCK_NODES and database:
        more["redis__key_prefix"] = prefix(database)
    return {"strategy": strategy, **options, **more}


class Database:
    """One database on a server, seen as root by its unix socket."""

    def __init__(self, mariadb: MariaDB, name: str | None = None, create: bool = True):
        self.mariadb = mariadb
        self.name = name or f"resvd_{next(numbers)}"
        if create:
            mariadb.sql(f"CREATE DATABASE {self.name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin; "
                        + "".join(f"GRANT ALL PRIVILEGES ON {self.name}.* TO resvd@'{host}'; "
                                  for host in ("localhost", "127.0.0.1", "::1")), database=None)

    def options(self, **changed) -> dict:
        """[database] for Resvd(); others: port=…, pool_max=…"""
        values = {"host": "127.0.0.1", "port": self.mariadb.port, "user": "resvd", "name": self.name}
        values.update(changed)
        return {f"database__{key}": value for key, value in values.items()}

    def sql(self, statements: str) -> list[list[str | None]]:
        return self.mariadb.sql(statements, database=self.name)

    def number(self, statement: str) -> int:
        return int(self.sql(statement)[0][0] or 0)

    def session(self):
        """A client of the test's own, for locks and transactions that stay open."""
        return self.mariadb.connect(database=self.name)

    # --- what is there ---

    def rows(self) -> dict[str, tuple[int, int, int, int]]:
        """(concert, member, quantity, status) by id."""
        found = self.sql("SELECT HEX(id), concert_id, member_id, quantity, status FROM reservations")
        rows = {str(uuid.UUID(hex=row[0])): tuple(map(int, row[1:])) for row in found}
        assert len(rows) == len(found)
        return rows

    def concerts(self) -> list[tuple[int, int, int]]:
        """(id, capacity, sold)."""
        found = self.sql("SELECT id, capacity, sold FROM concerts ORDER BY id")
        return [tuple(map(int, row)) for row in found]

    def contents(self) -> list:
        """Everything, to be compared."""
        return [self.sql("SELECT * FROM concerts ORDER BY id"), self.sql("SELECT * FROM members "
                "ORDER BY id"), self.sql("SELECT HEX(id), status FROM reservations")]

    def check(self) -> None:
        """sold is the number of live seats, never more than there are."""
        live: dict[int, int] = {}
        for concert_id, _, quantity, status in self.rows().values():
            if status in LIVE:
                live[concert_id] = live.get(concert_id, 0) + quantity
        for concert_id, capacity, sold in self.concerts():
            assert sold == live.get(concert_id, 0), f"concert {concert_id}: sold {sold}, rows {live}"
            assert sold <= capacity, f"concert {concert_id} oversold"

    def status(self, name: str) -> int:
        return int(self.sql(f"SHOW GLOBAL STATUS LIKE '{name}'")[0][1])

    # --- who does what there ---

    def sessions_of_resvd(self) -> list[int]:
        found = self.sql("SELECT id FROM information_schema.processlist WHERE user = 'resvd' "
                         f"AND db = '{self.name}'")
        return [int(row[0]) for row in found]

    def open_transactions_of_resvd(self) -> int:
        return self.number(
            "SELECT COUNT(*) FROM information_schema.innodb_trx AS t JOIN "
            "information_schema.processlist AS p ON p.id = t.trx_mysql_thread_id "
            f"WHERE p.user = 'resvd' AND p.db = '{self.name}'")

    def wait_until_closed(self, timeout_s: float = 10.0) -> None:
        # The server looks anew only when nobody has asked for 0.1 s.
        wait_until(lambda: self.open_transactions_of_resvd() == 0, "no transaction is open",
                   timeout_s, pause_s=0.12)

    def transactions_waiting(self) -> int:
        """For a lock, on the whole server."""
        return self.status("Innodb_row_lock_current_waits")

    def wait_until_waiting(self, timeout_s: float = 10.0) -> None:
        wait_until(lambda: self.transactions_waiting() > 0, "resvd waits for a lock", timeout_s)


def reserve(server: Resvd, concert_id: int = 1, member_id: int = 1, quantity: int = 1,
            key: str | None = None):
    body = {"concertId": concert_id, "memberId": member_id, "quantity": quantity}
    return server.ask("POST", "/api/reservations", body, {"Idempotency-Key": key} if key else None)


def reserve_at_last(server: Resvd, *arguments, **options):
    """As a patient client: again while the first is still being found out, or nothing is to be had."""
    give_up = time.monotonic() + 15
    while True:
        answer = reserve(server, *arguments, **options)
        problem = answer.json().get("type", "")
        if problem not in ("/problems/in-progress", "/problems/contended", "/problems/unavailable"):
            return answer
        assert time.monotonic() < give_up, answer.raw
        time.sleep(0.02)


def check_refusal(answer) -> None:
    """One of those that say: nothing was taken."""
    if answer.status == 409:
        answer.problem(409, "contended")
    elif answer.status == 504:
        answer.problem(504, "timeout")
    else:
        answer.problem(503, "unavailable")
    if answer.status != 504:
        assert int(answer.headers["retry-after"]) > 0


def timed(function, *arguments, **options):
    """Its result, and the seconds that it took."""
    began = time.monotonic()
    result = function(*arguments, **options)
    return result, time.monotonic() - began


@pytest.fixture(params=HONEST)
def kind(request):
    """Each honest way to sell on a database."""
    return request.param


@pytest.fixture
def background():
    """background(function, …) runs it in a thread; gives a future."""
    with ThreadPoolExecutor(64) as pool:
        yield pool.submit


@pytest.fixture(scope="module")
def mariadb(tmp_path_factory):
    """One server for a file of tests; not to be harmed."""
    with MariaDB(tmp_path_factory.mktemp("mariadb"), options=SMALL) as server:
        yield server


@pytest.fixture
def own_mariadb(tmp_path_factory):
    """A server for this test alone."""
    with MariaDB(tmp_path_factory.mktemp("mariadb"), options=SMALL) as server:
        yield server


@pytest.fixture
def database(mariadb):
    return Database(mariadb)


@pytest.fixture
def own_database(own_mariadb):
    return Database(own_mariadb)


@pytest.fixture
def serve(request, tmp_path_factory):
    """serve(database, kind, …): a resvd that sells there; all are stopped, in order, at the end.

    10 concerts of 100 seats and 20 members, unless reset=None (left as it is) or {…}.
    """
    start, servers = starter(request, tmp_path_factory)

    def function(database: Database, kind: str, reset: dict | None = STANDARD, link: dict | None = None,
                 **options) -> Resvd:
        given = {**strategy_options(kind, database), "server__allow_reset": "on", **options}
        server = start(**database.options(**(link or {})), **given)
        if reset is not None:
            server.reset(**reset)
        return server

    yield function
    finish(request.session, servers)


@pytest.fixture
def refused(start):
    """refused(kind, code, *words, **options): the start fails with this code, and one line that has
    all the words, and not the password. Gives the line."""

    def function(kind: str, code: int, *words: str, **options) -> str:
        given = {"server__start_timeout_ms": 1500, **strategy_options(kind), **options}
        server = start(wait=False, **given)
        assert server.wait_exit() == code, server.log()
        for secret in (given.get("database__password"), given.get("redis__password")):
            assert secret is None or secret not in server.log()
        said = [line for line in server.log().splitlines() if line.startswith("resvd: ")]
        assert len(said) == 1, server.log()
        assert all(word in said[0] for word in words), (words, said[0])
        return said[0]

    return function
