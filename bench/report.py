"""What the rounds say together, as one JSON document: summaries, comparisons, marks."""

import goals
import plan
import summary

# What is summed up over the rounds: its name, and where it stands in a measurement.
SUMMARIZED = {
    name: (name,) for name in (
        "requests_per_second", "p50_ms", "p95_ms", "p99_ms", "server_cpu_seconds_per_1000",
        "server_cpu_cores", "generator_busy", "memory_mib", "rows_per_second", "transactions_per_second",
        "rows_per_transaction", "cpu_seconds_per_1000", "victims_failed", "victims_slowest_ms",
        "hot_granted", "events", "seconds", "raw_rows_per_second", "of_raw",
        "p999_ms", "max_ms", "planned_per_second", "answered_per_second", "sold_out_per_second",
        "refused_per_second", "accepted_p50_ms", "accepted_p99_ms", "unanswered", "held",
        "generator_late_p99_ms", "error_rate", "granted_per_second", "cpu_cores_mean",
        "cpu_cores_max", "memory_mib_max", "connections_active_max", "connections_pending_max",
        "threads_max", "planned", "accepted", "sold_out", "unsent",
        "lower_bounds", "abandoned", "backlog_left", "succeeded", "failed", "deadlocks", "rows", "seats_sold")
} | {
    "batch_rows": ("batch", "mean"),
    "commit_ms": ("batch", "commit_ms"),
} | {
    f"database_{name}": ("database", name) for name in (
        "cpu_seconds_per_1000", "cpu_cores", "commits_per_second", "syncs_per_second",
        "reservations_per_commit")
} | {
    name: ("behind", name) for name in (
        "resvd_share", "taken_per_call", "backlog", "drain_seconds")
} | {
    f"row_{name}": ("behind", "row", name) for name in ("p50_ms", "p95_ms", "p99_ms")
} | {
    f"{name}_seconds_per_1000": ("behind", "cpu_seconds_per_1000", name)
    for name in ("resvd", "peer", "mariadbd", "redis", "kafka", "wrk")
} | {
    f"redis_{name}": ("redis", name) for name in (
        "cpu_seconds_per_1000", "commands_per_reservation")
}


def series(rounds, key, *path):
    """What stands there in a case's measurement of every round; None where it was not measured."""
    values = []
    for entry in rounds:
        value = entry["measurements"].get(key)
        for name in path:
            value = (value or {}).get(name)
        values.append(value)
    return values


def summarize_case(rounds, case):
    found = {name: spread for name, path in SUMMARIZED.items()
             if (spread := summary.spread(series(rounds, case.key, *path)))}
    limited = [value for value in series(rounds, case.key, "generator_limited") if value]
    found["generator_limited_rounds"] = len(limited)
    for field in ("refused", "socket_errors", "timeouts"):
        found[field] = sum(value or 0 for value in series(rounds, case.key, field))
    found["answers"] = sum(value or 0 for value in series(rounds, case.key, "counts", "requests"))
    return found


def compare(rounds, case, other, field, other_field=None, at_least=None, at_most=None):
    """Ratio of two cases, taken round by round; no ranking where their spreads overlap."""
    ours = series(rounds, case.key, field)
    theirs = series(rounds, other.key, other_field or field)
    ratio = summary.spread(summary.ratios(ours, theirs))
    if ratio is None:
        return None
    goal = at_most if at_least is None else at_least
    reached = ratio["median"] >= goal if at_least is not None else (
        goal is not None and ratio["median"] <= goal)
    return {
        "case": case.key,
        "to": other.key,
        "field": field,
        "ratio": ratio,
        "range_confidence": summary.confidence_of_range(ratio["count"]),
        "spreads_overlap": summary.overlap(summary.spread(ours), summary.spread(theirs)),
        "goal": goal,
        "goal_is": None if goal is None else "at least" if at_least is not None else "at most",
        "goal_reached": None if goal is None else reached,
    }


def comparisons(rounds, cases):
    """All that goals.py compares, in the order of the cases."""
    by_key = {case.key: case for case in cases}
    found = []
    for case in cases:
        place = (case.scenario, case.subject)
        for rule in goals.RULES:
            other = by_key.get(plan.key_of(case.scenario, case.load, rule.theirs))
            if place == (rule.scenario, rule.ours) and other:
                at_least, at_most = rule.goals_of(case.load)
                found.append(compare(rounds, case, other, rule.field,
                                     at_least=at_least, at_most=at_most))
        for rule in goals.LOOP_RULES:
            other = by_key.get(f"{rule.loop_scenario}/{rule.load_for(case.load)}/loop")
            if place == (rule.scenario, rule.subject) and other:
                found.append(compare(rounds, case, other, goals.RATE, "rows_per_second"))
    return [entry for entry in found if entry]


def bounds(summaries):
    """What became of the goals that need no other case."""
    found = []
    for bound in goals.BOUNDS:
        key = plan.key_of(bound.scenario, bound.load, bound.subject)
        spread = summaries.get(key, {}).get(bound.field)
        if not spread:
            continue
        value = spread[bound.judged_by]
        is_floor = bound.at_least is not None
        found.append({
            "case": key, "field": bound.field, "judged_by": bound.judged_by, "value": value,
            "goal": bound.at_least if is_floor else bound.at_most,
            "goal_is": "at least" if is_floor else "at most",
            "goal_reached": value >= bound.at_least if is_floor else value <= bound.at_most,
        })
    return found


def make(facts, warnings, parameters, ceilings, rounds, cases, violations):
    """The whole JSON document; `rounds` has those that were begun."""
    measured = [case for case in cases
                if any(entry["measurements"].get(case.key) for entry in rounds)]
    summaries = {case.key: summarize_case(rounds, case) for case in measured}
    return {
        "schema": 4,
        "facts": facts,
        "warnings": warnings,
        "parameters": parameters,
        "generator_ceilings": ceilings,
        "summary": summaries,
        "comparisons": comparisons(rounds, measured),
        "bounds": bounds(summaries),
        "violations": violations,
        "rounds": rounds,
    }


def generator_ceiling(measurement):
    """What wrk reaches with all of its threads' time: it never has all, it waits for the server."""
    busy = measurement["generator_busy"]
    return measurement["requests_per_second"] / busy if busy > 0 else None


def mark_limited(measurement, ceiling, limit=0.8):
    """A result within 80% of what the generator can reach is marked too."""
    measurement["share_of_ceiling"] = measurement["requests_per_second"] / ceiling
    if measurement["share_of_ceiling"] >= limit:
        measurement["generator_limited"] = True


def ceiling_of(ceilings, case):
    """What wrk can reach under the case's load; None where that was not measured, or wrk is not the
    load."""
    for entry in ceilings if plan.uses_wrk(case) else ():
        if entry.get("generator", "wrk") == "wrk" and (
                entry["connections"], entry["depth"]) == (case.connections, case.depth):
            return entry["generator_ceiling"]
    return None


def ceiling_loads(cases):
    """(connections, depth) of all cases with a load generator, each once, in order."""
    found = []
    for case in cases:
        if plan.uses_wrk(case):
            load = (case.connections, case.depth)
            if load not in found:
                found.append(load)
    return found


def expected_seconds(cases, rounds, seconds):
    """Of the whole run: for the time left."""
    ceilings = len(ceiling_loads(cases)) * (seconds + 0.1)
    return ceilings + rounds * sum(plan.seconds_of(case, seconds) for case in cases)
