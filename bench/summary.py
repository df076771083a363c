"""Medians, spreads and ratios of rounds; and bounds for how many rows a run may have left."""

import math
import re


def quantile(values, fraction):
    """Linear between the two nearest, as numpy's default; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    position = (len(ordered) - 1) * fraction
    low = math.floor(position)
    high = math.ceil(position)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


def spread(values):
    """Median, quartiles and extremes of those that are not None; None when there are none."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    return {
        "median": quantile(known, 0.5),
        "mean": sum(known) / len(known),
        "lower_quartile": quantile(known, 0.25),
        "upper_quartile": quantile(known, 0.75),
        "min": min(known),
        "max": max(known),
        "count": len(known),
    }


def grown(before, after, name):
    """A counter between two readings of the metrics, all of its labels together."""
    return sum(after[key] - before.get(key, 0) for key in after if key.split("{")[0] == name)


def histogram_mean(before, after, name):
    """Of what was observed between two readings; None: nothing."""
    count = grown(before, after, f"{name}_count")
    return grown(before, after, f"{name}_sum") / count if count else None


def histogram_quantile(before, after, name, fraction):
    """Linear within its bucket, as Prometheus does it; the highest bound for what is beyond it."""
    counts = {}
    for key in after:
        match = re.fullmatch(re.escape(name) + r'_bucket\{(?:.*,)?le="([^"]+)".*\}', key)
        if match:
            bound = float(match[1])
            counts[bound] = counts.get(bound, 0) + after[key] - before.get(key, 0)
    if not counts or counts.get(math.inf, 0) == 0:
        return None
    wanted = counts[math.inf] * fraction
    low, below = 0.0, 0
    for bound in sorted(counts):
        if counts[bound] >= wanted:
            if bound == math.inf:
                return low
            inside = counts[bound] - below
            return low + (bound - low) * ((wanted - below) / inside if inside else 1.0)
        low, below = bound, counts[bound]
    return low


def ratios(ours, theirs):
    """Ratio of each round in which both were measured; None marks a round without."""
    return [
        mine / other
        for mine, other in zip(ours, theirs)
        if mine is not None and other is not None and other > 0
    ]


def overlap(one, other):
    """Whether two spreads have a value in common: then neither may be ranked above the other."""
    return one["min"] <= other["max"] and other["min"] <= one["max"]


def row_bounds(good_answers, connections, depth, broken_connections=0):
    """Fewest and most rows that are consistent with what the load generator counted.

    It counts an answer when it has read it whole. When its time is over it goes, and what it had
    under way (depth requests on each connection) may have been sold without being counted; the
    same on each connection that broke and was opened again.
    """
    return good_answers, good_answers + (connections + broken_connections) * depth


def live_seats(audit):
    """Of all concerts."""
    return sum(concert["live"] for concert in audit["concerts"])


def audit_violations(audit, rows_before, load, connections, depth):
    """What is wrong after a run, in words: the audit's own judgement, and rows against answers.

    `audit` is the answer of GET /admin/audit, `rows_before` the seats of live rows before the run
    (each request asks for one seat), `load` the counts of the load generator.
    """
    violations = []
    if not audit.get("consistent"):
        violations.append("the audit says that the store is not consistent")
    for concert in audit["concerts"]:
        name = f"concert {concert['id']}"
        if concert["sold"] > concert["capacity"]:
            violations.append(
                f"{name}: oversold: {concert['sold']} of {concert['capacity']} seats")
        if concert["sold"] != concert["live"]:
            violations.append(
                f"{name}: sold is {concert['sold']} but its rows have {concert['live']} seats")
    rows = live_seats(audit) - rows_before
    broken = load["read"] + load["write"] + load["connect"] + load["timeout"]
    least, most = row_bounds(load["requests"] - load["status"], connections, depth, broken)
    if rows < least:
        violations.append(f"lost: {least} reservations were answered but {rows} rows are there")
    if rows > most:
        violations.append(f"phantom: {rows} rows are there but at most {most} can have been sold")
    return violations


def audit_differences(audit, tables):
    """Where resvd's audit says something else than the tables, concert by concert."""
    def seats(entry):
        return entry["id"], entry["capacity"], entry["sold"], entry["live"]

    ours = {entry["id"]: seats(entry) for entry in audit["concerts"]}
    theirs = {entry["id"]: seats(entry) for entry in tables["concerts"]}
    return [f"concert {number}: resvd's audit differs from the tables: {ours.get(number)} and "
            f"{theirs.get(number)} (id, capacity, sold, live)"
            for number in sorted(ours.keys() | theirs.keys())
            if ours.get(number) != theirs.get(number)]


def confidence_of_range(count):
    """How sure one can be that the true median lies within the extremes of so many rounds: it does
    not only if all of them fell on one side of it."""
    return 1 - 2 ** (1 - count) if count > 1 else 0.0
