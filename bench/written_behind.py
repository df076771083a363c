"""Strategies that accept first and write behind: what a load costs until its last row is there, and
how quickly a backlog becomes rows when nobody adds to it.

All CPU is counted until nothing is pending, so that no row's work is left out; the warm-up's rows
are all there before it is.
"""

import dataclasses
import http.client
import json
import shutil
import threading
import time

import database
import load
import plan
import servers
import subjects as subjects_of
import summary
from stock_and_log import WAIT_S

ROW_SECONDS = "resvd_async_row_seconds"
# What should not have happened in a measurement, or seldom; as resvd's metrics name it.
ODD = ("batches_careful", "rejected", "duplicates", "stale", "dead_letters", "swept", "undone",
       "gate_closed", "settles_ignored")
OPEN_S = 30.0
POLL_S = 0.01


# --- under a load ---------------------------------------------------------------------------------


def cpu_of_all(session, server, store):
    """Seconds of each process, so far."""
    return {"resvd": server.cpu_seconds(), "mariadbd": store.cpu_seconds(),
            **session.stock_and_log.cpu_seconds()}


def odd_events(before, after):
    return {name: int(grown) for name in ODD
            if (grown := summary.grown(before, after, f"resvd_async_{name}_total"))}


def answers_of_500(before, after):
    """Outcomes that nobody knows: each may have its row."""
    return int(sum(after[key] - before.get(key, 0) for key in after
                   if key.startswith("resvd_http_requests_total{") and 'status="500"' in key))


def row_times_ms(before, after):
    """From the event being made until its row was durable."""
    seconds = {name: summary.histogram_quantile(before, after, ROW_SECONDS, fraction)
               for name, fraction in (("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99))}
    return {name: None if value is None else value * 1000 for name, value in seconds.items()}


def shares_of(cpu, reservations):
    """Seconds of each for 1,000 reservations, and resvd's part of all."""
    total = sum(cpu.values())
    return {
        "cpu_seconds_per_1000": {name: seconds / reservations * 1000 if reservations else None
                                 for name, seconds in cpu.items()},
        "resvd_share": cpu["resvd"] / total if total else None,
    }


def measure_load(session, server, store, case):
    """The load, and all that it cost until its last row was there."""
    stack = session.stock_and_log
    store.wait_until_quiet()
    counters = store.counters()
    metrics, cpu = server.metrics(), cpu_of_all(session, server, store)
    begun = time.monotonic()
    result = session.measure_load(server, case)
    backlog = stack.seats_pending()
    drain_seconds = stack.wait_until_settled()
    server.wait_until_idle()
    stack.wait_until_settled()  # of what was under way
    seconds = time.monotonic() - begun
    after = server.metrics()
    spent = {name: seconds - cpu[name]
             for name, seconds in cpu_of_all(session, server, store).items()}
    spent["wrk"] = result["generator_cpu_seconds"]
    accepted = load.accepted(result["counts"])
    result["behind"] = {
        **shares_of(spent, accepted),
        "row": row_times_ms(metrics, after),
        "taken_per_call": summary.histogram_mean(metrics, after, "resvd_async_taken_per_call"),
        "backlog": backlog,
        "drain_seconds": drain_seconds,
        "odd": odd_events(metrics, after),
    }
    result["database"] = database.work_done(
        counters, store.counters(), spent["mariadbd"], accepted, seconds)
    result["server_cpu_seconds_per_1000"] = result["behind"]["cpu_seconds_per_1000"]["resvd"]
    result["unknown"] = case.connections + answers_of_500(metrics, after)
    return result


# --- a backlog ------------------------------------------------------------------------------------


class RowWatch(threading.Thread):
    """Asks how many seats are sold, again and again, until all are or `stop`."""

    def __init__(self, store, wanted):
        super().__init__(daemon=True)
        self.store = store
        self.wanted = wanted
        self.seen = []  # (monotonic seconds, seats sold): only where it changed
        self.failed = None
        self.ended = threading.Event()

    def run(self):
        try:
            with self.store.server.connect(database=database.DATABASE) as connection:
                while not self.ended.wait(POLL_S):
                    rows = connection.query("SELECT CAST(SUM(sold) AS INTEGER) FROM concerts")
                    sold = int(rows[0][0])
                    if not self.seen or sold != self.seen[-1][1]:
                        self.seen.append((time.monotonic(), sold))
                    if sold >= self.wanted:
                        return
        except Exception as error:  # shown by the one who waits
            self.failed = error

    def wait(self, server):
        """Until all are there."""
        give_up = time.monotonic() + WAIT_S
        while self.is_alive():
            self.join(0.2)
            if server.process.poll() is not None or time.monotonic() > give_up:
                sold = self.seen[-1][1] if self.seen else 0
                raise servers.ServerError(
                    f"the consumer wrote {sold} of {self.wanted} rows and no more; it said:\n"
                    + server.log_path.read_text(errors="replace")[-2000:])
        if self.failed:
            raise self.failed


def rate_of(seen):
    """Rows a second from the first COMMIT to the last: the first entry is from before, the second
    has the first's rows already, the time of which is not known."""
    changes = seen[1:]
    if len(changes) < 2:
        return None, 0.0
    seconds = changes[-1][0] - changes[0][0]
    return (changes[-1][1] - changes[0][1]) / seconds, seconds


def open_gates(server, concerts):
    """One reservation each: a concert's numbers come into Redis when it is asked for."""
    give_up = time.monotonic() + OPEN_S
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=OPEN_S)
    try:
        for number in range(1, concerts + 1):
            body = json.dumps({"concertId": number, "memberId": plan.MEMBER_FIRST})
            while True:
                connection.request("POST", "/api/reservations", body,
                                   {"Content-Type": "application/json"})
                response = connection.getresponse()
                response.read()
                if response.status == 202:
                    break
                if time.monotonic() > give_up:
                    raise servers.ServerError(f"concert {number} does not open: {response.status}")
                time.sleep(0.1)
    finally:
        connection.close()


@dataclasses.dataclass
class Answers:
    """What a backlog's clients were told, over all runs of wrk that made it."""

    accepted: int = 0
    unknown: int = 0  # cut off at a run's end, or by a broken connection: each may be an event

    def add(self, case, counts):
        """Of one run."""
        least, most = summary.row_bounds(
            load.accepted(counts), case.connections, case.depth,
            sum(counts[name] for name in ("read", "write", "connect", "timeout")))
        self.accepted += least
        self.unknown += most - least

    def violations(self, events):
        """Who was told that it is accepted has an event."""
        if events < self.accepted:
            return [f"lost: {self.accepted} reservations were answered but {events} events are "
                    "there"]
        if events > self.accepted + self.unknown:
            return [f"phantom: {events} events are there but at most "
                    f"{self.accepted + self.unknown} can have been made"]
        return []


def fill(session, case, options, wanted):
    """So many reservations are accepted, and no consumer writes them; what the clients were told."""
    stack = session.stock_and_log
    subject = subjects_of.BY_NAME[case.subject]
    api = servers.Resvd(session.tools["resvd"], session.new_folder("api"), subject.strategy,
                        {**options, "server.role": "api"})
    shape = plan.Case("fill", case.subject, "", plan.FILL_CONNECTIONS, concerts=case.concerts)
    give_up = time.monotonic() + WAIT_S
    answers = Answers()
    try:
        while stack.seats_pending() < wanted:
            if time.monotonic() > give_up:
                raise servers.ServerError(f"{stack.seats_pending()} of {wanted} events were made")
            before = api.metrics()
            answers.add(shape, session.load_on(api, shape, 1)[0])
            answers.unknown += answers_of_500(before, api.metrics())
    finally:
        api.stop()  # all that was accepted is in the log
    return answers


def drain(session, store, case, options):
    """The consumer alone, from its start until the last row; then what the audit says."""
    stack = session.stock_and_log
    subject = subjects_of.BY_NAME[case.subject]
    sold = sum(entry["sold"] for entry in store.audit()["concerts"])
    pending = stack.seats_pending()
    store.wait_until_quiet()
    others = {"mariadbd": store.cpu_seconds(), **stack.cpu_seconds()}
    watch = RowWatch(store, sold + pending)
    watch.start()
    try:
        consumer = servers.Resvd(session.tools["resvd"], session.new_folder("consumer"),
                                 subject.strategy, {**options, "server.role": "consumer"})
        try:
            watch.wait(consumer)
            stack.wait_until_settled()
            cpu = {"resvd": consumer.cpu_seconds(), "mariadbd": store.cpu_seconds(),
                   **stack.cpu_seconds()}
            metrics = consumer.metrics()
            audit = consumer.admin_json("GET", "/admin/audit")
        finally:
            consumer.stop()
    finally:
        watch.ended.set()
        watch.join()
    rate, seconds = rate_of(watch.seen)
    spent = {name: value - others.get(name, 0) for name, value in cpu.items()}
    return {
        "events": pending, "rows_per_second": rate, "seconds": seconds,
        "rows_per_transaction": summary.histogram_mean({}, metrics, "resvd_async_batch_events"),
        "behind": {**shares_of(spent, pending), "odd": odd_events({}, metrics)},
        "audit": audit,
        "violations": drain_violations(audit, store.audit(), sold + pending),
    }


def row_violations(found, name, wanted):
    """Each event has its row, and no other is there."""
    violations = []
    if not found.get("consistent"):
        violations.append(f"{name}: the store is not consistent")
    rows = summary.live_seats(found)
    if rows != wanted:
        violations.append(f"{name}: {wanted} reservations were accepted but {rows} rows are there")
    return violations


def drain_violations(audit, tables, wanted):
    """The same of both, which say the same."""
    return (summary.audit_differences(audit, tables) + row_violations(audit, "the audit", wanted)
            + row_violations(tables, "the tables", wanted))


def measure_drain(session, case):
    """A backlog of one topic, drained; beside it the raw INSERT of rows of the same kind, as many a
    transaction, for about as long."""
    subject = subjects_of.BY_NAME[case.subject]
    folder = session.new_folder("store")
    partitions = {"kafka.topic_partitions": str(case.partitions)}
    server = session.start_strategy(subject, folder, case.concerts, further=partitions.items())
    store = session.database()
    try:
        open_gates(server, case.concerts)
        session.stock_and_log.wait_until_settled()
    finally:
        server.stop()
    options = {**store.resvd_options(), **session.stock_and_log.resvd_options(), **partitions,
               **dict(subject.options)}
    answers = fill(session, case, options, plan.drain_events(session.seconds))
    result = drain(session, store, case, options)
    result["violations"] += answers.violations(result["events"])
    session.violations += [f"{case.title}: {text}" for text in result["violations"]]
    shutil.rmtree(folder, ignore_errors=True)
    if session.tools["mariadb_loop"] and result["rows_per_second"]:
        result.update(raw_beside(session, case, result))
    return result


def raw_beside(session, case, result):
    session.make_database_template(case.concerts).wait_until_quiet()
    rows = max(1, round(result["rows_per_transaction"]))
    raw = session.run_database_loop("insert", rows, max(1.0, result["seconds"]), case.concerts)
    rate = raw["rows"] / raw["seconds"]
    return {"raw_rows_per_second": rate, "of_raw": result["rows_per_second"] / rate}
