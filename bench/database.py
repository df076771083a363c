"""The MariaDB of a run: one real server, a fresh database for each measurement, what it did, and an
audit that asks the tables themselves.

It is started when the first case needs it and is idle while others are measured.
"""

import pathlib
import sys
import time

import servers

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tools"))
import services  # noqa: E402 (the folder must be known first)

ServerError = services.ServerError
SqlError = services.SqlError

DATABASE = "resvd"
LIVE_STATUSES = "(1, 2)"  # HELD and CONFIRMED, as in include/resvd/op.h
# Beside the defaults of tools/services; stated again because the figures rest on them.
OPTIONS = {"innodb-flush-log-at-trx-commit": 1}
# What a reader wants to know; those that a version does not have are left out.
VARIABLES = (
    "version", "version_comment", "innodb_flush_log_at_trx_commit", "log_bin", "sync_binlog",
    "innodb_buffer_pool_size", "innodb_log_file_size", "innodb_flush_method", "innodb_doublewrite",
    "transaction_isolation", "tx_isolation", "thread_handling", "innodb_use_native_aio",
    "performance_schema", "max_connections",
)
# Counters that say what a measurement cost the server.
COUNTERS = {
    "commits": "com_commit",
    "statements": "questions",
    "procedure_calls": "com_call_procedure",
    "rollbacks": "com_rollback",
    "rows_inserted": "innodb_rows_inserted",
    "syncs": "innodb_data_fsyncs",
    "log_writes": "innodb_log_writes",
    "row_lock_waits": "innodb_row_lock_waits",
    "row_lock_ms": "innodb_row_lock_time",
    "deadlocks": "innodb_deadlocks",
}


class Database:
    """Started at once; `close` kills it and removes its data."""

    def __init__(self, folder):
        self.server = services.MariaDB(folder, options=OPTIONS)
        self.server.start()

    def close(self):
        self.server.kill()
        self.server.wipe()

    def resvd_options(self):
        """Where resvd finds it, by TCP as in its defaults."""
        return {"database.host": "127.0.0.1", "database.port": str(self.server.port)}

    def cpu_seconds(self):
        stat = pathlib.Path(f"/proc/{self.server.pid}/stat").read_text()
        return servers.cpu_ticks(stat) / servers.TICKS_PER_SECOND

    def make_fresh(self):
        """An empty database: what the measurement before has left is neither read nor purged."""
        self.server.sql(f"DROP DATABASE IF EXISTS {DATABASE}; CREATE DATABASE {DATABASE} "
                        "CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", database=None)

    def wait_until_quiet(self, seconds_max=3.0):
        """What it does behind the scenes (purging, writing pages) is not to be measured."""
        give_up = time.monotonic() + seconds_max
        before = self.cpu_seconds()
        while time.monotonic() < give_up:
            time.sleep(0.1)
            now = self.cpu_seconds()
            if now - before < 0.02:
                return
            before = now

    def counters(self):
        """All of COUNTERS that this version has."""
        return counters_of(self.server.sql("SHOW GLOBAL STATUS"))

    def facts(self):
        variables = dict(self.server.sql("SHOW GLOBAL VARIABLES"))
        return {name: variables[name] for name in VARIABLES if name in variables}

    def audit(self):
        """As GET /admin/audit has it, but from the tables: resvd is not asked."""
        rows = self.server.sql(
            "SELECT c.id, c.capacity, c.sold, "
            "(SELECT COALESCE(SUM(r.quantity), 0) FROM reservations r "
            f"WHERE r.concert_id = c.id AND r.status IN {LIVE_STATUSES}) "
            "FROM concerts c ORDER BY c.id")
        return audit_of_rows(rows)


def counters_of(rows):
    status = {name.lower(): value for name, value in rows}
    return {ours: int(status[theirs]) for ours, theirs in COUNTERS.items()
            if status.get(theirs, "").isdigit()}


def audit_of_rows(rows):
    """Of (id, capacity, sold, live)."""
    concerts = []
    for row in rows:
        number, capacity, sold, live = (int(float(text)) for text in row)
        concerts.append({"id": number, "capacity": capacity, "sold": sold, "live": live})
    consistent = all(entry["sold"] == entry["live"] <= entry["capacity"] for entry in concerts)
    return {"consistent": consistent, "concerts": concerts}


def work_done(before, after, cpu_seconds, reservations, seconds):
    """What the server did for so many reservations, from two readings of its counters."""
    grown = {name: after[name] - before[name] for name in after if name in before}
    done = {
        "cpu_seconds_per_1000": cpu_seconds / reservations * 1000 if reservations else None,
        "cpu_cores": cpu_seconds / seconds,
        "commits_per_second": grown["commits"] / seconds if "commits" in grown else None,
        "syncs_per_second": grown["syncs"] / seconds if "syncs" in grown else None,
        "counters": grown,
    }
    commits = grown.get("commits", 0)
    done["reservations_per_commit"] = reservations / commits if commits else None
    return done
