"""Markdown of the open loops, and of resvd beside its peer. Made from the document alone."""

import plan
import subjects as subjects_of
from cells import median_of, number, range_of, table


def entries(document, scenario):
    """(load, subject, summary) of a scenario's cases, in the order in which they were measured."""
    for key, found in document["summary"].items():
        name, rest = key.split("/", 1)
        if name == scenario:
            load, subject = rest.rsplit("/", 1)
            yield load, subject, found


def held_text(found):
    """In how many rounds it kept up."""
    spread = found.get("held")
    return "–" if not spread else f"{round(spread['mean'] * spread['count'])} of {spread['count']}"


def open_row(load, subject, found):
    mark = " ⚠" if found["generator_limited_rounds"] else ""
    return [f"{subjects_of.find(subject).title}, {load}",
            median_of(found, "requests_per_second", 0),
            median_of(found, "sold_out_per_second", 0),
            median_of(found, "refused_per_second", 0), held_text(found),
            median_of(found, "p50_ms"), median_of(found, "p95_ms"), median_of(found, "p99_ms"),
            range_of(found["p99_ms"]) if "p99_ms" in found else "–",
            median_of(found, "p999_ms"),
            median_of(found, "server_cpu_cores"),
            median_of(found, "server_cpu_seconds_per_1000", 4),
            median_of(found, "generator_busy") + mark, median_of(found, "unsent", 0),
            median_of(found, "unanswered", 0)]


OPEN_HEADER = ["strategy, rate asked for", "accepted/s", "sold out/s", "other refusals/s", "held",
               "p50 ms", "p95 ms", "p99 ms", "p99 quartiles (min–max)", "p99.9 ms", "cores",
               "CPU s per 1,000", "loader busy", "never sent", "unanswered"]
BOUNDS_TEXT = [
    "Latencies are of all planned requests: who was never sent, for want of a connection, or never "
    "answered is in them with", "the time that it waited at least, so they are lower bounds where "
    "there are such."]
OPEN_TEXTS = {
    plan.HOT: ("one concert, at rates that do not wait for the server", [
        f"{plan.OPEN_CONNECTIONS} connections. Held: 98% of what was asked for was answered, with "
        "a p99 of at most a second. After two rates", "that a strategy did not hold in a round, "
        "it is not asked for higher ones in that round.", *BOUNDS_TEXT, ""]),
    plan.SELLOUT: ("demand far above capacity", [
        f"{plan.SELLOUT_CAPACITY:,} seats, {plan.OPEN_CONNECTIONS} connections. The audit demands "
        "exactly so many rows; CPU is for 1,000 sold, refusals and all.", "Accepted/s: until the "
        "last seat had gone; sold out/s: from then on. Where seats were left both are over the "
        "whole time.", *BOUNDS_TEXT, ""]),
}


def open_sections(document):
    lines = []
    for scenario, (title, text) in OPEN_TEXTS.items():
        rows = [open_row(*entry) for entry in entries(document, scenario)]
        if rows:
            lines += [f"## `{scenario}`: {title}", "", *text, *table(OPEN_HEADER, rows)]
    return lines


def peer_row(load, subject, found):
    mark = " ⚠" if found["generator_limited_rounds"] else ""
    return [f"{subjects_of.find(subject).title}, {load}",
            median_of(found, "requests_per_second", 0), range_of(found["requests_per_second"], 0),
            median_of(found, "p50_ms"), median_of(found, "p95_ms"), median_of(found, "p99_ms"),
            median_of(found, "server_cpu_seconds_per_1000", 4),
            median_of(found, "memory_mib", 0), median_of(found, "generator_busy") + mark,
            number(found["refused"], 0)]


def drain_row(_load, subject, found):
    return [subjects_of.find(subject).title, median_of(found, "events", 0),
            median_of(found, "rows_per_second", 0), range_of(found["rows_per_second"], 0)]


def peer_sections(document):
    found = list(entries(document, plan.PEERS))
    loads = [peer_row(*entry) for entry in found if "requests_per_second" in entry[2]]
    drains = [drain_row(*entry) for entry in found
              if entry[0] == plan.PEER_DRAIN_LOAD and "rows_per_second" in entry[2]]
    if not loads and not drains:
        return []
    lines = [f"## `{plan.PEERS}`: beside a Spring Boot application of the study's architecture", "",
             "In the same rounds, on the same Redis, Kafka and MariaDB, with the same load. As "
             "published: 1.8 s of sleep in the lock,", "a lease of 1 s, a 202 before Kafka's ack. "
             "Fair: no sleep, a lease longer than the work, a 202 after the ack.", "CPU is that of "
             "the server's own process, with async until the last row is there.", ""]
    if loads:
        lines += table(["server, load", "accepted/s", "quartiles (min–max)", "p50 ms", "p95 ms",
                        "p99 ms", "CPU s per 1,000", "memory MiB", "wrk busy", "refused"], loads)
    if drains:
        lines += table(["consumer alone, a backlog", "events", "rows/s", "quartiles (min–max)"],
                       drains)
    return lines
