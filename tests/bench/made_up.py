"""A result of ./dev bench that nobody measured: all scenarios, for the tests of what shows results."""

import math
import pathlib
import random
import re
import sys
import types

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))

import report

RATES = (500, 1000, 2000, 4000, 8000, 16000, 24000, 32000, 48000)
BREAKS_AT = {"pessimistic-statements": 2000, "redlock-n1": 2000, "grouped": 16000,
             "async": 10**9, "embedded": 10**9}  # the first rate that each does not hold
AT_BEST = {"pessimistic-statements": 2111, "pessimistic-procedure": 4822, "grouped": 38111,
           "redlock-n1": 1611, "redlock-n3": 1444, "redlock-n1-handoff16": 20111,
           "embedded": 51222, "async": 24333, "async-single": 20444, "nginx": 99111,
           "nginx-auto": 120111, "resvd": 90111, "resvd-single": 4111, "naive": 3111,
           "peer-lock-fair": 444, "peer-lock-published": 33, "peer-async-fair": 2222,
           "peer-async-published": 2555}
ODD_NAME = "a<b>&\"quoted\" 'name'"  # of a subject, as no later version should call one
COUNTS = {"requests": 1000, "duration_us": 5_000_000, "bytes": 1, "connect": 0, "read": 0,
          "write": 0, "status": 3, "timeout": 0}


def closed_loop(chance, rate, limited=False):
    rate *= chance.uniform(0.93, 1.07)
    p50 = 60_000 / rate
    return {
        "requests_per_second": rate, "p50_ms": p50, "p95_ms": p50 * 1.7, "p99_ms": p50 * 2.3,
        "max_ms": p50 * 4, "server_cpu_seconds_per_1000": 300 / rate, "server_cpu_cores": 0.6,
        "generator_busy": 0.97 if limited else 0.3, "generator_limited": limited, "refused": 3,
        "socket_errors": 0, "timeouts": 0, "counts": COUNTS, "violations": [],
        "audit": {"consistent": True, "concerts": [{"id": 1, "capacity": 10**9, "sold": 5000,
                                                    "live": 5000, "consistent": True}]},
        "database": {"cpu_seconds_per_1000": 0.1, "commits_per_second": rate / 3},
        "batch": {"transactions": 0, "mean": None, "commit_ms": None},
    }


def distribution(p50):
    """Sixty points of a made-up shape."""
    return [[p50 * 0.3 * math.exp(step / 12), min(1.0, 1 - math.exp(-(step + 1) / 10))]
            for step in range(59)] + [[p50 * 60, 1.0]]


def open_loop(chance, name, rate, capacity=None):
    held = rate < BREAKS_AT[name]
    p50 = chance.uniform(0.9, 1.1) * (2 if held else 4000) * (1 + rate / 20000)
    answered = rate * (0.999 if held else 0.55)
    accepted = answered if capacity is None else min(answered, capacity / 3)
    found = closed_loop(chance, rate)
    del found["socket_errors"], found["timeouts"]
    return {
        **found, "planned_per_second": rate, "answered_per_second": answered,
        "requests_per_second": accepted, "sold_out_per_second": answered - accepted,
        "refused_per_second": 0 if held else 17.0, "statuses": {"201": 900, "409": 100},
        "p50_ms": p50, "p95_ms": p50 * 2, "p99_ms": p50 * 3, "p999_ms": p50 * 5,
        "max_ms": p50 * 9, "accepted_p50_ms": p50 * 1.1, "accepted_p99_ms": p50 * 3.1,
        "cdf": distribution(p50), "unanswered": 0 if held else 12, "generator_late_p99_ms": 0.4,
        "held": held, "planned": rate * 3, "accepted": accepted * 3,
        "sold_out": (answered - accepted) * 3, "unsent": 0 if held else rate,
        "lower_bounds": 0 if held else rate + 12,
        "audit": {"consistent": True, "concerts": [{
            "id": 1, "capacity": capacity or 10**9, "sold": capacity or 5000, "live": 5000}]},
    }


def samples(chance, rate, connected):
    rows = []
    for step in range(100):
        shape = min(1, step / 20, (100 - step) / 20)
        rows.append({
            "t_s": step / 2 + 0.5, "cpu_cores": 1.4 * shape + 0.01 if step != 20 else None,
            "memory_mib": 40 + step, "threads": 9,
            "connections_active": round(10 * shape) if connected else None,
            "connections_pending": round(chance.uniform(0, 30) * shape) if connected else None,
            "requests_per_second": rate * shape, "backlog": None})
    return rows


def stampede(chance, name):
    rate = min(2300, AT_BEST[name]) * chance.uniform(0.9, 1.1)
    is_peer = name.startswith("peer")
    return {
        **closed_loop(chance, rate), "requests_per_second": rate, "granted_per_second": rate * 0.9,
        "sold_out_per_second": 0, "error_rate": 0.9107 if is_peer else 0.0,
        "series": samples(chance, rate, name != "embedded"), "cpu_cores_mean": 0.9,
        "cpu_cores_max": 1.4, "memory_mib_max": 700 if is_peer else 89, "threads_max": 9,
        "connections_active_max": 10, "connections_pending_max": 30, "statuses": {"201": 5000},
        "generator_limited": name == "embedded",
    }


def isolated(name, load):
    victims = 10 if name.startswith("pessimistic") and load == "one pool" else 0
    return {"victims_failed": victims, "victims_slowest_ms": 252.5 if victims else 1.9,
            "hot_granted": 4, "hot_statuses": {"201": 4, "503": 26}, "counts": COUNTS,
            "audit": {"consistent": True, "concerts": []}, "violations": []}


def deadlocked(chance, name):
    is_naive = name == "naive"
    succeeded = chance.randint(15, 22) if is_naive else 100
    return {"succeeded": succeeded, "failed": 100 - succeeded,
            "statuses": {"201": succeeded, "500": 100 - succeeded},
            "deadlocks": 78 if is_naive else 0, "rows": succeeded,
            "seats_sold": 5 if is_naive else 100, "counts": COUNTS, "audit": {"concerts": []},
            "violations": ["concert 1: sold is 5 but its rows have <20> seats"]
            if is_naive else []}


def written_behind(chance, name):
    found = closed_loop(chance, AT_BEST[name])
    if name == "nginx":
        return found
    return {**found, "series": samples(chance, AT_BEST[name], True), "behind": {
        "cpu_seconds_per_1000": {"resvd": 0.018, "mariadbd": 0.009, "redis": 0.0094,
                                 "kafka": 0.006, "wrk": 0.009},
        "resvd_share": 0.32, "row": {"p50_ms": 41.5, "p95_ms": 80.5, "p99_ms": 99.5},
        "taken_per_call": 9.4, "backlog": 1097, "drain_seconds": 0.04, "odd": {}}}


def drained(chance, rate):
    rate *= chance.uniform(0.9, 1.1)
    return {"events": 345_074, "rows_per_second": rate, "seconds": 3.3,
            "rows_per_transaction": 1990.0, "raw_rows_per_second": rate * 1.2, "of_raw": 1 / 1.2,
            "behind": {"cpu_seconds_per_1000": {"resvd": 0.0013}}, "violations": [],
            "audit": {"concerts": []}}


def looped(chance, rows):
    rate = 4000 * rows ** 0.7 * chance.uniform(0.95, 1.05)
    return {"rows_per_second": rate, "transactions_per_second": rate / rows,
            "cpu_seconds_per_1000": 0.003, "rows_per_transaction": rows}


def round_of(number, chance):
    """All scenarios, each by its own."""
    found = {}
    for scenario in ("one", "ten"):
        for connections in (64, 512):
            for name in ("pessimistic-statements", "pessimistic-procedure", "grouped",
                         "redlock-n1", "embedded", ODD_NAME):
                found[f"{scenario}/{connections} connections/{name}"] = closed_loop(
                    chance, AT_BEST.get(name, 3000), name == "embedded")
    for rate in RATES:
        for name, breaks_at in BREAKS_AT.items():
            # After the rate that it broke at nothing is asked for: it says so, or is not there.
            if rate <= breaks_at and (name, rate, number) != ("redlock-n1", 1000, 2):
                found[f"hot/{rate}/s/{name}"] = open_loop(chance, name, rate)
            elif name == "redlock-n1":
                found[f"hot/{rate}/s/{name}"] = {
                    "planned_per_second": rate, "held": False, "skipped": "not measured: made up"}
            elif name == "grouped":
                found[f"hot/{rate}/s/{name}"] = None
    for rate in (2000, 16000):
        for name in BREAKS_AT:
            found[f"sellout/{rate}/s/{name}"] = open_loop(chance, name, rate, 5000)
    for name in (*BREAKS_AT, "peer-lock-published", "peer-async-published"):
        found[f"stampede/the study's stages/{name}"] = stampede(chance, name)
    for load, names in (
            ("lock path, 64 connections",
             ("redlock-n1", "grouped", "peer-lock-fair", "peer-lock-published")),
            ("async path, 64 connections", ("async", "peer-async-fair", "peer-async-published"))):
        for name in names:
            found[f"peers/{load}/{name}"] = closed_loop(chance, AT_BEST[name])
    for name, rate in (("async", 97_000), ("peer-async-fair", 900)):
        found[f"peers/backlog/{name}"] = drained(chance, rate)
    for load in ("one concert", "ten concerts"):
        for name in ("pessimistic-statements", "redlock-n1", "redlock-n3",
                     "redlock-n1-handoff16"):
            found[f"redlock/{load}/{name}"] = closed_loop(chance, AT_BEST[name])
    for load in ("one pool", "reads have their own"):
        for name in ("pessimistic-statements", "redlock-n1"):
            found[f"isolation/{load}/{name}"] = isolated(name, load)
    for name in ("naive", "pessimistic-statements"):
        found[f"deadlock/100 at once on 100 seats/{name}"] = deadlocked(chance, name)
    for load in ("64 connections", "512 connections"):
        for name in ("async", "async-single", "nginx"):
            found[f"async/{load}/{name}"] = written_behind(chance, name)
        for name in ("resvd", "resvd-single", "nginx"):
            found[f"embedded/{load}/{name}"] = closed_loop(chance, AT_BEST[name])
        for name in ("resvd", "nginx", "nginx-auto"):
            found[f"http/{load}/{name}"] = closed_loop(chance, AT_BEST[name], True)
    for load in ("one concert", "ten concerts"):
        found[f"drain/{load}/async"] = drained(chance, 100_000)
    for rows in (1, 100):
        found[f"sqlite/{rows} rows a transaction/loop"] = looped(chance, rows)
        found[f"mariadb/one text, {rows} rows a transaction/loop"] = looped(chance, rows)
    found["sqlite/batches as at 64 connections/loop"] = looped(chance, 33) if number > 1 else None
    return {"number": number, "load_average": [1.0, 0.5, 0.25], "measurements": found,
            "complete": True}


def case_of(key):
    return types.SimpleNamespace(key=key)


def made_up(rounds=3, scenarios=None):
    """A whole document. No number in it was measured."""
    chance = random.Random(7)
    done = [round_of(number + 1, chance) for number in range(rounds)]
    for entry in done:
        entry["measurements"] = {key: value for key, value in entry["measurements"].items()
                                 if scenarios is None or key.split("/")[0] in scenarios}
    keys = [key for key in done[0]["measurements"]
            if any(entry["measurements"][key] for entry in done)]
    pairs = (("peers/lock path, 64 connections/grouped", "peer-lock-fair", "requests_per_second"),
             ("peers/async path, 64 connections/async", "peer-async-fair", "p99_ms"))
    return {
        "schema": 4,
        "facts": {"date": "2001-02-03T04:05:06+00:00", "commit": "made-up", "tree_is_clean": False,
                  "resvd": ["resvd 0.0.0 (made-up)", "compiler: none"], "build": {"debug": True},
                  "wrk": "wrk 0 [made up]", "nginx": "nginx version: none", "sqlite": "0",
                  "cpu": "A <made-up> & \"quoted\" CPU", "cores": 2, "memory_mib": 4096,
                  "kernel": "None 0", "system": "Nowhere", "sync_us": 123.4,
                  "file_system": {"mount": "/", "device": "/dev/none", "type": "nofs"},
                  "mariadb": {"version": "0", "innodb_flush_log_at_trx_commit": "1"},
                  "lock_nodes": None},
        "warnings": ["made up: <nothing> here was measured"],
        "parameters": {"scenarios": ["all"], "rounds": rounds, "rounds_done": rounds,
                       "seconds": 5, "threads": 1, "config_digest": "0" * 64},
        "generator_ceilings": [{"load": "64 connections", "requests_per_second": 125_000.0,
                                "generator_busy": 0.99, "generator_ceiling": 126_000.0},
                               {"load": "the study's stages", "requests_per_second": 2500.0}],
        "summary": {key: report.summarize_case(done, case_of(key)) for key in keys},
        "comparisons": [found for key, other, field in pairs if key in keys and (
            found := report.compare(done, case_of(key),
                                    case_of(key.rsplit("/", 1)[0] + "/" + other), field,
                                    at_least=20))],
        "bounds": [{"case": key, "field": "requests_per_second", "judged_by": "median",
                    "value": 1611.5, "goal": 1000, "goal_is": "at least", "goal_reached": True}
                   for key in ("redlock/one concert/redlock-n1",) if key in keys],
        "violations": [], "rounds": done,
    }


# --- its numbers, as they may be written ----------------------------------------------------------


def numbers_in(text):
    """As they are written, without what stands around them."""
    return set(re.findall(r"(?<![\w.,])(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?", text))


def written(value):
    """All the ways in which the page may write a number."""
    forms = set()
    for scaled in (value, 100 * value):
        forms |= {f"{scaled:,.{digits}f}" for digits in range(5)} | {f"{scaled:g}",
                                                                   f"{scaled:,g}"}
    return forms


def leaves(value):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    else:
        yield value


def numbers_of(document):
    """Of the whole document, in every form."""
    found = set()
    for value in leaves(document):
        if isinstance(value, str):
            found |= numbers_in(value)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            found |= written(value)
    return found
