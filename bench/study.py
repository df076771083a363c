"""The source study's published tables beside what was measured here, and what of it can be compared.

    tables(document)    as Tables, for the page
    markdown(document)  as lines of Markdown

The study's numbers are the published ones; where it says nothing, nothing stands here.
"""

import dataclasses

import figure_data as data
import isolation
import plan
from cells import number

NOTHING = "–"
WHO = "whose"
BEFORE = "the study, before: a lock"
AFTER = "the study, after: Kafka"

# Tables 4.1 to 4.3: requests a second, error rate, P95 and P99 in ms, active threads, and
# connections to the database that were active and that were waited for.
PUBLISHED_LOAD = {
    BEFORE: ("100", "95%", "3,500", "3,700", "200", "12", "10"),
    AFTER: ("6,000", "0%", "27", "27", "20", "1", "0"),
}
# Table 5.1: 100 at once on 100 seats, without any control.
PUBLISHED_DEADLOCKS = "about 80"
PUBLISHED_ROWS = "20"
PUBLISHED_SEATS = "not the 20 of the rows"
# Table 5.2: transactions a second, and how well others were isolated from them.
PUBLISHED_ISOLATION = {
    "the study, pessimistic": ("224", "low"),
    "the study, lock by Redisson": ("123", "high"),
}
ISOLATION_RATES = (("redlock", "one concert"),)  # where the rates of the same two are measured

LOAD_NOTES = (
    "Comparable: the shape of the load, which is the study's own (k6, a new connection for each "
    "request, 2,000 users in 10 s, held for 30 s, ten concerts of 100,000), and the order of "
    "magnitude. Ours are of the whole run, the stages up and down too.",
    "Not comparable: the machines; what is an error (ours: every request that was begun and "
    "neither accepted nor told that there is no seat); and rates near k6's own ceiling under this "
    "load (⚠): no two servers above it can be told apart.",
    "The study's \"before\" sleeps 1.8 s inside its lock, waits 2 s for the lock and lets it expire "
    "after 1 s: its 100 requests/s, 3.5 s and 95% follow from these constants and say little about "
    "locks. Its load never sells out (10 × 100,000 seats, 200 members).",
    "The study's \"after\" answers 202 before Kafka has acknowledged the event, so an answer may be "
    "lost; the 202 of `async` here comes after the acknowledgement.",
    "Of the peer only the published settings meet this load; the fair ones stand in `peers`, with "
    "kept connections. Requests that the published peer still had under way 15 s after the load "
    "were abandoned with it.",
    "The study's P95 and P99 come from a rate over one minute in a run of 50 s: they hold its start "
    "and its end. Ours are of all iterations of the run, as k6 has them: with the wait for one of "
    "the peer's 200 threads. 2,000 users who share 100 requests/s wait 20 s each: the study's 3.5 s "
    "were measured inside its server, or its users paused between requests.",
    "Threads: the study counts those that were active, ours are the most that the server's "
    "processes had. Connections: ours are the most of all samples.",
)
PEER_NOTES = (
    "The study published figures of its own load of 2,000 users only; they stand here for scale. "
    "What can be compared are the peer and resvd: same machine, same services, same 64 kept "
    "connections, same rounds.",
    "\"As published\" keeps what the study's program does (the sleep of 1.8 s inside the lock, a "
    "wait of 2 s, a lease of 1 s, the 202 before the acknowledgement); \"fair\" does without it.",
)
DEADLOCK_NOTES = (
    "Comparable: 100 requests at once for 100 seats of one concert without any control, and what "
    "the database says about deadlocks. Not comparable: how many happen, which is a matter of "
    "timing and of the machine.",
    "Seats sold should be the rows; where they are not, updates were lost.",
)
ISOLATION_NOTES = (
    f"Comparable: the experiment ({isolation.HOT_COUNT} reserve one concert, "
    f"{isolation.VICTIM_COUNT} others read members, a pool of {isolation.POOL} connections with a "
    f"wait of {isolation.POOL_WAIT_MS} ms) and who is the victim of whom. Not comparable: the "
    "transactions a second, which depend on the machine; the study judges isolation in words, here "
    "the reads that failed are counted.",
    "Ours a second are of the scenario `redlock`, one concert, 64 connections, without the pause "
    "that the experiment makes inside each transaction.",
)


@dataclasses.dataclass(frozen=True)
class Table:
    """All cells are text. The first of each row is what the row is about."""

    title: str
    header: tuple
    rows: tuple
    notes: tuple = ()


def percent(value):
    return NOTHING if value is None else f"{number(100 * value, 1)}%"


def load_table(document):
    """The stampede, a row for each subject."""
    rows = [(who, rate, NOTHING, errors, p95, p99, NOTHING, NOTHING, threads, active, pending)
            for who, (rate, errors, p95, p99, threads, active, pending) in PUBLISHED_LOAD.items()]
    for entry in data.entries(document, plan.STAMPEDE):
        def median(name, digits=None, entry=entry):
            return number(data.median(document, entry, name), digits)

        rows.append((
            entry.title + data.mark(document, entry),
            median(data.RATE, 0), median("granted_per_second", 0),
            percent(data.median(document, entry, "error_rate")), median("p95_ms"),
            median("p99_ms"), median("cpu_cores_mean"), median("memory_mib_max", 0),
            median("threads_max", 0), median("connections_active_max", 0),
            median("connections_pending_max", 0)))
    return Table(
        "The study's tables 4.1 to 4.3, beside `stampede`",
        (WHO, "requests/s", "granted/s", "error rate", "p95 ms", "p99 ms", "CPU cores, mean",
         "memory MiB", "threads", "database connections active", "waited for"),
        tuple(rows), LOAD_NOTES)


def peer_table(document):
    """Each path of the peer beside what answers the same."""
    rows = [(who, f"2,000 users, {rate} requests/s with {errors} errors", NOTHING, NOTHING, p95,
             p99, NOTHING, NOTHING)
            for who, (rate, errors, p95, p99, *_) in PUBLISHED_LOAD.items()]
    for entry in data.entries(document, plan.PEERS):
        def median(name, digits=None, entry=entry):
            return number(data.median(document, entry, name), digits)

        # Under a load the rows are no more than what was accepted, whatever the consumer can.
        written = (median("rows_per_second", 0) if entry.load == plan.PEER_DRAIN_LOAD
                   else NOTHING)
        rows.append((
            entry.title + data.mark(document, entry), entry.load, median(data.RATE, 0),
            median("p50_ms"), median("p95_ms"), median("p99_ms"),
            median("server_cpu_seconds_per_1000", 4), written))
    return Table(
        "The study's program and resvd on the same machine, `peers`",
        (WHO, "load", "accepted/s", "p50 ms", "p95 ms", "p99 ms", "CPU seconds per 1,000",
         "rows/s of the consumer"), tuple(rows), PEER_NOTES)


def deadlock_table(document):
    rows = [("the study, no control", NOTHING, NOTHING, PUBLISHED_DEADLOCKS, PUBLISHED_ROWS,
             PUBLISHED_SEATS)]
    for entry in data.entries(document, plan.DEADLOCK):
        rows.append((entry.title, *(number(data.median(document, entry, name), 0) for name in (
            "succeeded", "failed", "deadlocks", "rows", "seats_sold"))))
    return Table(
        "The study's table 5.1, beside `deadlock`: 100 at once on 100 seats",
        (WHO, "succeeded", "failed", "deadlocks", "rows", "seats sold"), tuple(rows),
        DEADLOCK_NOTES)


def rate_beside_isolation(document, subject):
    """Of the same strategy without the experiment's pause; None where it was not measured."""
    for entry in data.entries(document):
        if entry.subject == subject and (entry.scenario, entry.load) in ISOLATION_RATES:
            return data.median(document, entry, data.RATE)
    return None


def isolation_table(document):
    rows = [(who, NOTHING, rate, judged, NOTHING, NOTHING, NOTHING)
            for who, (rate, judged) in PUBLISHED_ISOLATION.items()]
    for entry in data.entries(document, plan.ISOLATION):
        failed = data.spread(document, entry, "victims_failed")
        spread = NOTHING if failed is None else (
            f"{number(failed['min'], 0)}–{number(failed['max'], 0)}")
        rows.append((
            entry.title, entry.load,
            number(rate_beside_isolation(document, entry.subject), 0),
            number(failed["median"] if failed else None, 0), spread,
            number(data.median(document, entry, "victims_slowest_ms")),
            number(data.median(document, entry, "hot_granted"), 0)))
    return Table(
        "The study's table 5.2, beside `isolation`",
        (WHO, "connections", "transactions/s",
         f"isolation; here: reads that failed, of {isolation.VICTIM_COUNT}", "min–max",
         "slowest read ms", f"sold, of {isolation.HOT_COUNT}"), tuple(rows), ISOLATION_NOTES)


TABLES = {plan.STAMPEDE: load_table, plan.PEERS: peer_table, plan.DEADLOCK: deadlock_table,
          plan.ISOLATION: isolation_table}


def table_of(document, scenario):
    """The study's table that belongs to it; None where there is none or nothing was measured."""
    make = TABLES.get(scenario)
    there = any(data.measurements(document, entry) for entry in data.entries(document, scenario))
    return make(document) if make and there else None


def tables(document):
    """Those of the scenarios that the document has."""
    found = (table_of(document, scenario) for scenario in TABLES)
    return [table for table in found if table]


def cell(text):
    return text.replace("|", "\\|")


def markdown_table(table):
    """The table's lines, without its title."""
    align = [" --- " if i == 0 else " ---: " for i in range(len(table.header))]
    lines = ["| " + " | ".join(cell(text) for text in table.header) + " |",
             "|" + "|".join(align) + "|"]
    return lines + ["| " + " | ".join(cell(text) for text in row) + " |" for row in table.rows]


def markdown(document):
    lines = []
    for table in tables(document):
        lines += [f"## {table.title}", "", *markdown_table(table), ""]
        lines += [f"- {note}" for note in table.notes] + [""]
    return lines
