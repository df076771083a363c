"""Runs the cases: servers that stay up, fresh stores, and what each measurement says."""

import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import tempfile
from contextlib import closing

import database as database_of
import deadlock
import isolation
import load
import lock_nodes as lock_nodes_of
import open_cases
import peer_cases
import plan
import servers
import stampede_cases
import stock_and_log as stock_and_log_of
import subjects as subjects_of
import summary
import written_behind
from services.process import resident_bytes  # servers has made the folder known

CAPACITY = 1_000_000_000
LOOP_CACHE_BYTES = 67108864  # embedded's defaults, see --print-default-config
LOOP_WAL_MAX_BYTES = 4194304
DATABASE_TEMPLATE = "grouped"  # whose tables mariadb_loop writes; all on MariaDB have the same


class Session:
    """Everything that a run has open. `tools` has the paths of all programs."""

    def __init__(self, tools, folder, seconds, threads):
        self.tools = tools
        self.seconds = seconds
        self.threads = threads
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="resvd-bench-", dir=folder))
        self.folder.chmod(0o755)  # nginx's workers are not root
        self.running = {}
        self.template = None
        self.violations = []
        self.batch_rows = {}  # connections: rows a transaction in this round
        self.rates_held = {}  # (scenario, subject): {rate: whether it was held in this round}
        self.stampede_ceiling = None  # what k6 reaches at all, where it was measured
        self.open_loop_ceiling = None  # the same of the open loop
        self.failed = []  # keys of cases that could not be measured: they are not tried again
        self.opened_database = None
        self.database_facts = None  # of the MariaDB that was used, for the report
        self.lock_nodes = lock_nodes_of.LockNodes(self.folder / "redis")
        self.lock_facts = None  # of the Redis nodes that were used
        self.stock_and_log = stock_and_log_of.StockAndLog(self.folder / "stock-and-log")
        self.stock_and_log_facts = None  # of the Redis and the Kafka that were used

    def close(self):
        for server in self.running.values():
            server.stop()
        self.running.clear()
        if self.opened_database:
            self.opened_database.close()
            self.opened_database = None
        self.lock_nodes.close()
        self.stock_and_log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def begin_round(self):
        """What is known of a round is not of the next."""
        self.batch_rows.clear()
        self.rates_held.clear()
        self.stock_and_log.begin_round()

    def remember(self, case, measurement):
        """What a measurement from before an interruption says about others of its round."""
        if case.scenario == "embedded" and case.subject == "resvd" and measurement:
            self.batch_rows[case.connections] = measurement["batch"]["mean"]
        if case.scenario == plan.HOT and measurement:
            held = self.rates_held.setdefault((case.scenario, case.subject), {})
            if "skipped" not in measurement:
                held[case.rate] = measurement["held"]

    def new_folder(self, name):
        path = self.folder / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
        return path

    def database(self):
        """The run's MariaDB: started when it is asked for first."""
        if self.opened_database is None:
            self.opened_database = database_of.Database(self.new_folder("mariadb"))
            self.database_facts = self.opened_database.facts()
        return self.opened_database

    def load_on(self, server, case, seconds, member_count=plan.MEMBER_COUNT):
        """One run of wrk; the counts, and the CPU seconds of wrk and of the server."""
        shape = {"connections": case.connections, "depth": case.depth, "concerts": case.concerts,
                 "member_first": plan.MEMBER_FIRST, "member_count": member_count}
        before = server.cpu_seconds()
        result, wrk_cpu = load.run_wrk(self.tools["wrk"], server.url, shape, seconds, self.threads)
        return result, wrk_cpu, server.cpu_seconds() - before

    def measure_load(self, server, case, member_count=plan.MEMBER_COUNT):
        result, wrk_cpu, cpu = self.load_on(server, case, self.seconds, member_count)
        threads = min(self.threads, case.connections)
        return load.measurement(result, wrk_cpu, cpu, case.depth, threads)

    # --- servers that stay up over all rounds -----------------------------------------------------

    def standing(self, subject):
        """Started and warmed up when it is asked for first; idle while others are measured."""
        if subject not in self.running:
            folder = self.new_folder(subject)
            if subject == "fixed-answer":
                server = servers.FixedAnswer(self.tools["fixed_answer"], folder)
            elif subject == "resvd":
                server = servers.Resvd(self.tools["resvd_fake"], folder, "fake", {})
            else:
                workers = 1 if subject == "nginx" else "auto"
                server = servers.Nginx(self.tools["nginx"], folder, workers)
            self.running[subject] = server
            warm_up = plan.Case("warm-up", subject, "", connections=64)
            self.load_on(server, warm_up, plan.WARM_UP_SECONDS)
        return self.running[subject]

    def measure_ceiling(self, connections, depth):
        """What wrk and the loopback device reach against the cheapest server."""
        case = plan.Case("ceiling", "fixed-answer", "", connections, depth)
        member_count = plan.MEMBER_COUNT if depth == 1 else 1
        return self.measure_load(self.standing("fixed-answer"), case, member_count)

    def measure_http(self, case):
        # One member: the fixed text costs wrk least, and nobody looks at it.
        return self.measure_load(self.standing(case.subject), case, member_count=1)

    # --- strategies: a fresh store each time ------------------------------------------------------

    def start_strategy(self, subject, folder, concerts=1, capacity=CAPACITY, further=()):
        """resvd with that many concerts, and members, in an empty store; `further` options."""
        options = {"server.allow_reset": "on"}
        if subject.strategy == "embedded":
            options["strategy.embedded.file"] = str(folder / "resvd.db")
        if "mariadb" in subject.services:
            self.database().make_fresh()
            options.update(self.database().resvd_options())
        if subject.lock_nodes:
            self.lock_nodes.take(subject.lock_nodes)
            self.lock_facts = self.lock_facts or self.lock_nodes.facts()
            options.update(self.lock_nodes.resvd_options())
        if subject.writes_behind:
            self.stock_and_log.take(concerts)
            self.stock_and_log_facts = self.stock_and_log_facts or self.stock_and_log.facts()
            options.update(self.stock_and_log.resvd_options())
        options.update(subject.options)
        options.update(further)
        server = servers.Resvd(self.tools["resvd"], folder, subject.strategy, options,
                               subject.flags)
        try:
            self.reset(server, concerts, capacity)
        except BaseException:
            server.stop()
            raise
        return server

    def reset(self, server, concerts, capacity):
        """That many concerts and all members, and nothing sold."""
        server.admin_json("POST", "/admin/reset", {
            "concerts": concerts, "capacity": capacity,
            "members": plan.MEMBER_FIRST + plan.MEMBER_COUNT - 1})

    def warm_up_seconds(self, subject):
        """A broker that has just been started is slow until its code is compiled."""
        fresh = subject.writes_behind and self.stock_and_log.fresh
        return plan.WARM_UP_SECONDS + (plan.BROKER_WARM_UP_SECONDS if fresh else 0)

    def measure_strategy(self, case, subject):
        """Start, fill, warm up, measure, audit, stop."""
        folder = self.new_folder("store")
        server = self.start_strategy(subject, folder, case.concerts)
        store = self.database() if "mariadb" in subject.services else None
        try:
            counts = self.load_on(server, case, self.warm_up_seconds(subject))[0]
            warm_up = {"counts": counts, "unknown": case.connections
                       + written_behind.answers_of_500({}, server.metrics())}
            warm_up["violations"] = self.audit(server, store, case, subject, 0, warm_up)
            rows_before = summary.live_seats(warm_up["audit"])
            metrics_before = server.metrics()
            result = self.measure_on(store, server, case)
            result["memory_mib"] = resident_bytes(server.process.pid) / (1 << 20)
            result["batch"] = batch_sizes(metrics_before, server.metrics(), subject)
            result["violations"] = warm_up["violations"] + self.audit(
                server, store, case, subject, rows_before, result)
        finally:
            server.stop()
            shutil.rmtree(folder, ignore_errors=True)
        return result

    def measure_on(self, store, server, case):
        """The load, and what it cost the servers beside resvd."""
        if store is None:
            return self.measure_load(server, case)
        if subjects_of.BY_NAME[case.subject].writes_behind:
            return written_behind.measure_load(self, server, store, case)
        nodes = self.lock_nodes if subjects_of.BY_NAME[case.subject].lock_nodes else None
        store.wait_until_quiet()
        counters, cpu = store.counters(), store.cpu_seconds()
        before = (nodes.commands(), nodes.cpu_seconds()) if nodes else None
        result = self.measure_load(server, case)
        accepted = load.accepted(result["counts"])
        if nodes:
            result["redis"] = lock_nodes_of.work_done(
                nodes.commands() - before[0], nodes.cpu_seconds() - before[1], accepted)
        cpu = store.cpu_seconds() - cpu
        result["database"] = database_of.work_done(
            counters, store.counters(), cpu, accepted, result["counts"]["duration_us"] / 1e6)
        return result

    def measure_isolation(self, case):
        """30 want one concert, 10 read members; then the audit."""
        folder = self.new_folder("store")
        subject = subjects_of.BY_NAME[case.subject]
        server = self.start_strategy(
            subject, folder, capacity=isolation.CAPACITY,
            further=isolation.resvd_options(subject.strategy, case.catalog_pool))
        try:
            result = isolation.measurement(*isolation.run(server.port))
            result["violations"] = self.audit(server, self.database(), case, subject, 0, result)
        finally:
            server.stop()
            shutil.rmtree(folder, ignore_errors=True)
        return result

    def measure_deadlock(self, case):
        """A hundred at once for a hundred seats; then the audit."""
        folder = self.new_folder("store")
        subject = subjects_of.BY_NAME[case.subject]
        server = self.start_strategy(subject, folder, capacity=deadlock.CAPACITY,
                                     further=deadlock.resvd_options(subject.services).items())
        store = self.database()
        try:
            before = store.counters()
            statuses, seconds = deadlock.run(server.port)
            server.wait_until_idle()
            deadlocks = deadlock.deadlocks_between(before, store.counters())
            result = deadlock.measurement(statuses, seconds, deadlocks, store.audit())
            result["violations"] = self.audit(server, store, case, subject, 0, result)
        finally:
            server.stop()
            shutil.rmtree(folder, ignore_errors=True)
        return result

    def measure_async(self, case):
        if case.subject == "nginx":
            return self.measure_load(self.standing("nginx"), case)
        return self.measure_strategy(case, subjects_of.BY_NAME[case.subject])

    def measure_embedded(self, case):
        if case.subject == "nginx":
            return self.measure_load(self.standing("nginx"), case)
        name = "embedded-single" if case.subject == "resvd-single" else "embedded"
        result = self.measure_strategy(case, subjects_of.BY_NAME[name])
        if case.subject == "resvd":
            self.batch_rows[case.connections] = result["batch"]["mean"]
        return result

    def settle(self, server, subject):
        """Until nothing is under way, and nothing waits for its row."""
        server.wait_until_idle()
        if subject.writes_behind:
            self.stock_and_log.wait_until_settled()

    def audit(self, server, store, case, subject, rows_before, result):
        """After every run, by resvd and, where that can be, by asking the store itself; what is
        wrong is shown at once and fails the run in the end."""
        self.settle(server, subject)
        under_way = result.get("unknown", case.connections)
        result["audit"] = server.admin_json("GET", "/admin/audit")
        violations = summary.audit_violations(
            result["audit"], rows_before, result["counts"], under_way, case.depth)
        found = None
        if store is not None:
            found = store.audit()
        elif subject.strategy == "embedded":
            found = database_of.audit_of_rows(sqlite_rows(server.folder / "resvd.db"))
        if found is not None:
            violations += [f"the tables: {text}" for text in summary.audit_violations(
                found, rows_before, result["counts"], under_way, case.depth)]
            violations += summary.audit_differences(result["audit"], found)
        if not subject.oversells:
            self.violations += [f"{case.title}: {text}" for text in violations]
        return violations

    # --- the raw loop -----------------------------------------------------------------------------

    def make_template(self):
        """A database as resvd makes it, with the concert and the members in it."""
        folder = self.new_folder("template")
        self.start_strategy(subjects_of.BY_NAME["embedded"], folder).stop()
        self.template = folder / "resvd.db"

    def measure_loop(self, case):
        rows = case.rows or round(self.batch_rows.get(case.connections) or 0)
        if rows == 0:
            return None
        if self.template is None:
            self.make_template()
        folder = self.new_folder("loop")
        file = folder / "loop.db"
        shutil.copyfile(self.template, file)
        os.sync()  # the copy's own pages must not go to the disk during the measurement
        result = run_loop([self.tools["sqlite_loop"], file, rows, plan.loop_seconds(self.seconds),
                           LOOP_CACHE_BYTES, LOOP_WAL_MAX_BYTES, plan.MEMBER_FIRST,
                           plan.MEMBER_COUNT])
        shutil.rmtree(folder, ignore_errors=True)
        if result["sold_minus_rows"] != 0:
            self.violations.append(f"{case.title}: sold and rows differ")
        return {**result, "rows_per_transaction": rows, **rates_of(result)}

    def make_database_template(self, concerts=1):
        """The tables that resvd makes; it has gone then."""
        folder = self.new_folder("database-template")
        self.start_strategy(subjects_of.BY_NAME[DATABASE_TEMPLATE], folder, concerts).stop()
        return self.database()

    def measure_database_loop(self, case):
        """On the tables that resvd makes."""
        store = self.make_database_template()
        store.wait_until_quiet()
        counters, cpu = store.counters(), store.cpu_seconds()
        result = self.run_database_loop(case.form, case.rows, plan.loop_seconds(self.seconds))
        cpu = store.cpu_seconds() - cpu
        if result["sold_minus_rows"] != 0:
            self.violations.append(f"{case.title}: sold and rows differ")
        done = database_of.work_done(counters, store.counters(), cpu, result["rows"],
                                     result["seconds"])
        return {**result, "rows_per_transaction": case.rows, "database": done, **rates_of(result)}

    def run_database_loop(self, form, rows, seconds, concerts=1):
        return run_loop([self.tools["mariadb_loop"], self.database().server.socket, form, rows,
                         seconds, plan.MEMBER_FIRST, plan.MEMBER_COUNT, concerts])

    def measure(self, case):
        """The case's measurement, or None where it cannot be taken in this round."""
        if case.scenario in plan.SALES:
            return self.measure_strategy(case, subjects_of.BY_NAME[case.subject])
        if case.scenario in plan.OPEN_LOOPS:
            return open_cases.measure(self, case)
        if case.scenario == plan.STAMPEDE:
            return stampede_cases.measure(self, case)
        if case.scenario == plan.PEERS:
            return peer_cases.measure(self, case)
        if case.scenario == plan.ISOLATION:
            return self.measure_isolation(case)
        if case.scenario == plan.DEADLOCK:
            return self.measure_deadlock(case)
        if case.scenario == plan.ASYNC:
            return self.measure_async(case)
        if case.scenario == plan.DRAIN:
            return written_behind.measure_drain(self, case)
        if case.scenario == "http":
            return self.measure_http(case)
        if case.scenario == "embedded":
            return self.measure_embedded(case)
        if case.scenario == "mariadb":
            return self.measure_database_loop(case)
        return self.measure_loop(case)


def sqlite_rows(file):
    """(id, capacity, sold, live) of each concert, from embedded's file."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30)) as connection:
        return connection.execute(
            "SELECT c.id, c.capacity, c.sold, "
            "(SELECT COALESCE(SUM(r.quantity), 0) FROM reservations r "
            f"WHERE r.concert_id = c.id AND r.status IN {database_of.LIVE_STATUSES}) "
            "FROM concerts c ORDER BY c.id").fetchall()


def rates_of(result):
    """Of a raw loop's one line."""
    return {"rows_per_second": result["rows"] / result["seconds"],
            "transactions_per_second": result["transactions"] / result["seconds"],
            "cpu_seconds_per_1000": result["cpu_seconds"] / result["rows"] * 1000}


def run_loop(command):
    """One run of a raw loop to its end."""
    command = [str(part) for part in command]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, start_new_session=True)
    try:
        text, _ = process.communicate()
    except BaseException:
        process.kill()
        process.communicate()
        raise
    if process.returncode != 0:
        raise servers.ServerError(f"{' '.join(command)}\nended with {process.returncode}:\n{text}")
    return json.loads(text)


def batch_sizes(before, after, subject):
    """Transactions and their mean size between two readings of the metrics."""
    def grown(name, suffix):
        return summary.grown(before, after, name + suffix) if name else 0

    transactions = grown(subject.batch_metric, "_count")
    operations = grown(subject.batch_metric, "_sum")
    commit_seconds = grown(subject.commit_metric, "_sum")
    return {
        "transactions": transactions,
        "mean": operations / transactions if transactions else None,
        "commit_ms": commit_seconds / transactions * 1000 if commit_seconds else None,
    }
