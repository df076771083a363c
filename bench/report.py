"""What the rounds say together, as one JSON document: summaries, comparisons, marks."""

import plan
import summary

# What resvd is to reach, by load: ratio to nginx with one worker, in the same rounds.
HTTP_GOALS = {"64 connections": 1.0, "512 connections": 1.2, "64 connections, 16 deep": 5.0}
EMBEDDED_GOALS = {"64 connections": 0.6, "512 connections": 0.75}

SUMMARIZED = ("requests_per_second", "p50_ms", "p99_ms", "server_cpu_seconds_per_1000",
              "server_cpu_cores", "generator_busy", "rows_per_second", "transactions_per_second",
              "rows_per_transaction", "cpu_seconds_per_1000")


def series(rounds, key, field):
    """The field of a case in every round; None where it was not measured."""
    return [(entry["measurements"].get(key) or {}).get(field) for entry in rounds]


def summarize_case(rounds, case):
    found = {field: spread for field in SUMMARIZED
             if (spread := summary.spread(series(rounds, case.key, field)))}
    for name in ("mean", "commit_ms"):
        values = [((entry["measurements"].get(case.key) or {}).get("batch") or {}).get(name)
                  for entry in rounds]
        if spread := summary.spread(values):
            found["batch_rows" if name == "mean" else name] = spread
    limited = [value for value in series(rounds, case.key, "generator_limited") if value]
    found["generator_limited_rounds"] = len(limited)
    for field in ("refused", "socket_errors", "timeouts"):
        found[field] = sum(value or 0 for value in series(rounds, case.key, field))
    return found


def compare(rounds, case, other, field, other_field=None, goal=None):
    """Ratio of two cases, taken round by round; no ranking where their spreads overlap."""
    other_field = other_field or field
    ours = series(rounds, case.key, field)
    theirs = series(rounds, other.key, other_field)
    ratio = summary.spread(summary.ratios(ours, theirs))
    if ratio is None:
        return None
    return {
        "case": case.key,
        "to": other.key,
        "ratio": ratio,
        "spreads_overlap": summary.overlap(summary.spread(ours), summary.spread(theirs)),
        "goal": goal,
        "goal_reached": None if goal is None else ratio["median"] >= goal,
    }


def comparisons(rounds, cases):
    """All that the scenarios compare, in the order of the report."""
    by_key = {case.key: case for case in cases}
    found = []
    for case in cases:
        if case.subject != "resvd":
            continue
        goals = HTTP_GOALS if case.scenario == "http" else EMBEDDED_GOALS
        for subject in ("nginx", "nginx-auto", "resvd-single"):
            other = by_key.get(f"{case.scenario}/{case.load}/{subject}")
            if other:
                goal = goals.get(case.load) if subject == "nginx" else None
                found.append(compare(rounds, case, other, "requests_per_second", goal=goal))
        if case.scenario != "embedded":
            continue
        for load in ("1 row a transaction", f"batches as at {case.load}"):
            other = by_key.get(f"sqlite/{load}/loop")
            if other:
                found.append(
                    compare(rounds, case, other, "requests_per_second", "rows_per_second"))
    return [entry for entry in found if entry]


def make(facts, warnings, parameters, ceilings, rounds, cases, violations):
    """The whole JSON document; `rounds` has those that were begun."""
    measured = [case for case in cases
                if any(entry["measurements"].get(case.key) for entry in rounds)]
    return {
        "schema": 1,
        "facts": facts,
        "warnings": warnings,
        "parameters": parameters,
        "generator_ceilings": ceilings,
        "summary": {case.key: summarize_case(rounds, case) for case in measured},
        "comparisons": comparisons(rounds, measured),
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
    """What wrk can reach under the case's load; None where that was not measured."""
    for entry in ceilings:
        if (entry["connections"], entry["depth"]) == (case.connections, case.depth):
            return entry["generator_ceiling"]
    return None


def ceiling_loads(cases):
    """(connections, depth) of all cases with a load generator, each once, in order."""
    found = []
    for case in cases:
        if case.scenario in ("http", "embedded"):
            load = (case.connections, case.depth)
            if load not in found:
                found.append(load)
    return found


def expected_seconds(cases, rounds, seconds):
    """Of the whole run: for the time left."""
    ceilings = len(ceiling_loads(cases)) * (seconds + 0.1)
    return ceilings + rounds * sum(plan.seconds_of(case, seconds) for case in cases)
