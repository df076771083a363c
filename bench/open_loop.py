"""The open loop: reservations at a fixed rate, whatever the server answers (open_loop.c), as a
measurement; which rates are worth asking for; and an audit that compares every id.

A run's ids go to a file. Each of them must be a live row then; rows beyond that are allowed only
for requests whose outcome the generator does not know.
"""

import json
import sqlite3
import subprocess
from contextlib import closing

import load
import summary

LoadError = load.LoadError

RATES = (500, 1000, 2000, 4000, 8000, 16000, 24000, 32000, 48000)  # requests a second
BROKEN_RATES_MAX = 2  # so many may fail in a round before the higher ones are left out
SELLOUT_CAPACITY = 5000
SELLOUT_RATES = (2000, 16000)
SELLOUT_DEMAND = 1.1  # times the capacity: only then can it be told whether all was sold
GRACE_S = 10  # for answers, when nothing is sent any more
START_S = 15  # opening all connections, and all else around a run
LATE_LIMIT_MS = 5  # a generator that was later than this may have been the limit
CEILING_RATE = 2 * max(RATES)  # nobody is asked for so many
LIMIT_OF_CEILING = 0.8  # as of other generators: above it the open loop may be what is measured
HELD_SHARE = 0.98  # of what was planned is answered
HELD_P99_MS = 1000

GRANTED = ("201", "202")
UNKNOWN = ("500",)  # nobody knows the outcome: there may be a row
ID_BYTES = 16
LIVE = (1, 2)  # HELD and CONFIRMED, as in include/resvd/op.h
CURVE_POINTS_MAX = 60
COUNTS = ("planned", "sent", "answered", "lower_bounds", "sold_out", "sold_out_in_time",
          "sold_out_after", "broken", "unanswered", "no_id", "malformed", "connections_lost",
          "connect_failures", "last_accepted_us", "load_us", "duration_us", "cpu_load_us", "cpu_us")
PERCENTILES = ("p50_us", "p95_us", "p99_us", "p999_us", "max_us")


# --- one run --------------------------------------------------------------------------------------


def command(binary, url, shape, rate, seconds, ids, grace_seconds=GRACE_S):
    """`shape` says connections, concerts, member_first and member_count, as in load.wrk_command."""
    return [
        str(binary), f"--url={url}", f"--connections={shape['connections']}", f"--rate={rate}",
        f"--seconds={seconds}", f"--concerts={shape['concerts']}",
        f"--member-first={shape['member_first']}", f"--member-count={shape['member_count']}",
        f"--ids={ids}", f"--grace-seconds={grace_seconds}",
    ]


def parse(text):
    """The one RESULT line of open_loop, checked."""
    lines = [line for line in text.splitlines() if line.startswith("RESULT ")]
    if len(lines) != 1:
        raise LoadError(f"open_loop printed {len(lines)} results:\n{text}")
    try:
        result = json.loads(lines[0][len("RESULT "):])
    except ValueError as error:
        raise LoadError(f"open_loop's result cannot be read: {lines[0]}") from error
    wrong = what_is_wrong(result)
    if wrong:
        raise LoadError(f"open_loop's result {wrong}: {lines[0]}")
    return result


def what_is_wrong(result):
    """In words, what cannot be; None: nothing."""
    for name in COUNTS:
        if not load.is_count(result.get(name)):
            return f"has no {name}"
    for name in ("statuses", "statuses_in_time"):
        if not isinstance(result.get(name), dict) or not all(
                map(load.is_count, result[name].values())):
            return f"has no {name}"
    if result["load_us"] == 0 or result["duration_us"] < result["load_us"]:
        return "took no time"
    if result["sent"] > result["planned"]:
        return "has more sent than planned"
    if result["sent"] != result["answered"] + result["broken"] + result["unanswered"]:
        return "does not say what became of each request"
    if result["planned"] != result["answered"] + result["lower_bounds"]:
        return "has not one latency for each request"
    if result["answered"] != sum(result["statuses"].values()):
        return "has not one status for each answer"
    if any(count > result["statuses"].get(status, 0)
           for status, count in result["statuses_in_time"].items()):
        return "has more answers in time than answers"
    if not result["sold_out_in_time"] <= result["sold_out"] <= result["statuses"].get("409", 0):
        return "has more sold out than answers that may say so"
    if result["sold_out_after"] > result["sold_out_in_time"]:
        return "has more sold out after the last seat than at all"
    if (result["last_accepted_us"] > 0) != (accepted(result) > 0):
        return "does not say when the last was accepted"
    for name, count in (("latency", result["planned"]), ("accepted", accepted(result)),
                        ("late", result["sent"])):
        found = result.get(name)
        if (found is None) != (count == 0) or found is not None and not (
                isinstance(found, dict)
                and all(load.is_count(found.get(key)) for key in PERCENTILES)):
            return f"has no {name}"
    return wrong_curve(result.get("cdf"))


def wrong_curve(points):
    """As what_is_wrong; a curve rises, and ends with all that was planned."""
    if not isinstance(points, list) or not 0 < len(points) <= CURVE_POINTS_MAX:
        return "has no cdf"
    if not all(one[0] < two[0] and one[1] < two[1] for one, two in zip(points, points[1:])):
        return "has a cdf that does not rise"
    if points[-1][1] != 1:
        return "has a cdf without its end"
    return None


def run(binary, url, shape, rate, seconds, ids, grace_seconds=GRACE_S):
    """One run to its end; its result. Ids of accepted reservations are appended to the file."""
    words = command(binary, url, shape, rate, seconds, ids, grace_seconds)
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, start_new_session=True)
    try:
        text, _ = process.communicate(timeout=START_S + float(seconds) + float(grace_seconds))
    except BaseException as error:
        process.kill()
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise LoadError(f"{' '.join(words)}\ndid not end in {error.timeout:.0f} s: is the "
                            "machine paused, or far too busy?") from error
        raise
    if process.returncode != 0:
        raise LoadError(f"{' '.join(words)}\nended with {process.returncode}:\n{text}")
    return parse(text)


def ceiling_title(connections):
    """Its name among the ceilings."""
    return f"open loop, {connections} connections"


def ceiling(binary, url, shape, seconds):
    """The open loop's own limit, as it stands among the ceilings: what it had answered in time by
    the cheapest server, of far more than anybody is asked for."""
    result = run(binary, url, shape, CEILING_RATE, seconds, "/dev/null")
    rate = rates_of(result)["answered_per_second"]
    return {
        "load": ceiling_title(shape["connections"]), "generator": "open_loop",
        "connections": shape["connections"], "depth": 1, "generator_ceiling": rate,
        "requests_per_second": rate, "generator_busy": busy_of(result),
    }


# --- a measurement --------------------------------------------------------------------------------


def accepted(result, statuses="statuses"):
    return sum(result[statuses].get(status, 0) for status in GRANTED)


def counts_of(result):
    """By the names of load.COUNTS, as summary.audit_violations wants them: what wrk would have said
    of the same."""
    return {
        "requests": result["answered"], "duration_us": result["duration_us"], "bytes": 0,
        "connect": 0, "read": result["broken"], "write": 0,
        "status": result["answered"] - accepted(result), "timeout": result["unanswered"],
    }


def unknown_outcomes(result):
    """Requests that may have a row or not: nobody was told."""
    told_unknown = sum(result["statuses"].get(status, 0) for status in UNKNOWN)
    return result["broken"] + result["unanswered"] + told_unknown


def milliseconds(percentiles, name):
    return percentiles[name] / 1000 if percentiles else None


def busy_of(result):
    """The program's share of one core, while it sent."""
    return result["cpu_load_us"] / result["load_us"]


def rates_of(result):
    """A second, of what was answered while requests were sent: a backlog that is answered later is
    no rate that was held.

    Where all was sold before the end, accepted/s is over the time until the last seat had gone, and
    sold out/s over the time after it: over the whole it would be the capacity by another name.
    """
    load_us, last_us = result["load_us"], result["last_accepted_us"]
    seconds = load_us / 1e6
    answered = sum(result["statuses_in_time"].values())
    good = accepted(result, "statuses_in_time")
    sold_out = result["sold_out_in_time"]
    if sold_out and 0 < last_us < load_us:
        sales = {"requests_per_second": good / (last_us / 1e6),
                 "sold_out_per_second": result["sold_out_after"] / ((load_us - last_us) / 1e6)}
    else:
        sales = {"requests_per_second": good / seconds, "sold_out_per_second": sold_out / seconds}
    return {
        "planned_per_second": result["planned"] / seconds,
        "answered_per_second": answered / seconds,
        **sales,
        "refused_per_second": (answered - good - sold_out) / seconds,
    }


def measurement(result, server_cpu_seconds, ceiling=None, settled_cpu_seconds=None):
    """As it stands in the results.

    Latencies and cdf are of all that was planned, from each request's planned start: a server that
    stalls pays for all that were due meanwhile. So many as `lower_bounds` says never had an answer
    (unsent, broken, unanswered) and are in it with the time that they waited at least; so where
    there are such, percentiles are lower bounds, too.

    `server_cpu_seconds` are the load's own, for its cores; `settled_cpu_seconds` have what it left
    to do, too: all that the reservations cost, but over a longer time. `ceiling` is what ceiling()
    gave, where it was measured. `unknown` is for the audit: answers that say so; broken and
    unanswered requests are among the counts.
    """
    good = accepted(result)
    spent = server_cpu_seconds if settled_cpu_seconds is None else settled_cpu_seconds
    found = {
        **rates_of(result),
        "statuses": result["statuses"],
        **{name.replace("_us", "_ms"): milliseconds(result["latency"], name)
           for name in PERCENTILES},
        "accepted_p50_ms": milliseconds(result["accepted"], "p50_us"),
        "accepted_p99_ms": milliseconds(result["accepted"], "p99_us"),
        "cdf": [[us / 1000, share] for us, share in result["cdf"]],
        "accepted": good,
        "sold_out": result["sold_out"],
        "answered": result["answered"],
        "planned": result["planned"],
        "unsent": result["planned"] - result["sent"],  # no connection was free until the end
        "lower_bounds": result["lower_bounds"],
        "last_accepted_us": result["last_accepted_us"],  # since the load's begin; 0: none was
        "unanswered": result["unanswered"],
        "broken": result["broken"],
        "no_id": result["no_id"],
        "connections_lost": result["connections_lost"],
        "refused": result["answered"] - good,
        "generator_cpu_seconds": result["cpu_us"] / 1e6,
        **limits_of(result, ceiling),
        "server_cpu_cores": server_cpu_seconds / (result["duration_us"] / 1e6),
        "server_cpu_seconds_per_1000": spent / good * 1000 if good else None,
        "counts": counts_of(result),
        "unknown": unknown_outcomes(result) - result["broken"] - result["unanswered"],
        "unknown_outcomes": unknown_outcomes(result),
    }
    found["held"] = held(found)
    return found


def limits_of(result, ceiling):
    """Whether the open loop was itself what limited the result."""
    busy, late_p99_ms = busy_of(result), milliseconds(result["late"], "p99_us")
    found = {
        "generator_busy": busy, "generator_late_p99_ms": late_p99_ms,
        "generator_limited": busy >= load.BUSY_LIMIT or (late_p99_ms or 0) > LATE_LIMIT_MS,
    }
    if ceiling:
        planned = rates_of(result)["planned_per_second"]
        found["share_of_ceiling"] = planned / ceiling["generator_ceiling"]
        found["generator_limited"] |= found["share_of_ceiling"] >= LIMIT_OF_CEILING
    return found


# --- which rates ----------------------------------------------------------------------------------


def held(measured):
    """Whether the server kept up: nearly all was answered, and soon. What is sold out is, too."""
    return (measured["answered"] >= HELD_SHARE * measured["planned"]
            and measured["p99_ms"] <= HELD_P99_MS)


def broken_rates(found):
    """The lowest two that were not held, of {rate: held}; none when fewer were not."""
    broken = sorted(rate for rate, was_held in found.items() if not was_held)
    return broken[:BROKEN_RATES_MAX] if len(broken) >= BROKEN_RATES_MAX else []


def skipped(rate, found):
    """The measurement of a rate that is left out, in a round in which `found` says of each rate
    measured whether it was held: above the first two that were not. None: it is to be measured."""
    broken = broken_rates(found)
    if rate <= max(broken, default=rate):
        return None
    return {"planned_per_second": rate, "held": False,
            "skipped": "not measured: " + " and ".join(f"{other}/s" for other in broken)
                       + " were not held before"}


# --- the audit of every id ------------------------------------------------------------------------


def ids_in_mariadb(server):
    """Status of each row by its id; `server` is a Database's."""
    return {bytes.fromhex(number): int(status) for number, status
            in server.sql("SELECT HEX(id), status FROM reservations", timeout_s=120.0)}


def ids_in_sqlite(file):
    """The same, of embedded's file; resvd may be running."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30)) as connection:
        return dict(connection.execute("SELECT id, status FROM reservations"))


def read_ids(path):
    """Those that open_loop has left there, in the order of their answers."""
    with open(path, "rb") as file:
        text = file.read()
    if len(text) % ID_BYTES:
        raise LoadError(f"{path}: {len(text)} bytes are no whole ids: was open_loop killed?")
    return [text[at:at + ID_BYTES] for at in range(0, len(text), ID_BYTES)]


def live_ids(statuses):
    """Of what ids_in_… says, those that have a seat."""
    return {number for number, status in statuses.items() if status in LIVE}


def missing_ids(path, statuses, unknown=0):
    """Compares the ids of all accepted with the ids in the tables (`statuses`, of ids_in_…),
    exactly.

    lost: accepted, and no live row has the id (rejected: a row says that it was not sold after
    all); double: one id given to two; phantom: live rows that nobody was told of, beyond the
    `unknown` requests that may have one (unknown_outcomes). All that was sold must have come from
    runs with the same file.
    """
    given = read_ids(path)
    live = live_ids(statuses)
    accepted_ids = set(given)
    lost = accepted_ids - live
    untold = len(live - accepted_ids)
    return {
        "accepted": len(given),
        "rows": len(live),
        "lost": len(lost),
        "rejected": sum(1 for number in lost if number in statuses),
        "double": len(given) - len(accepted_ids),
        "untold": untold,
        "unknown": unknown,
        "phantom": max(0, untold - unknown),
        "examples": sorted(number.hex() for number in lost)[:5],
    }


def id_violations(found, no_id=0):
    """What is wrong in the audit of every id, in words; `no_id` is a measurement's."""
    violations = []
    if found["lost"]:
        violations.append(
            f"ids: lost: {found['lost']} of {found['accepted']} accepted reservations have no live "
            f"row ({found['rejected']} have another), such as {found['examples'][0]}")
    if found["double"]:
        violations.append(f"ids: double: {found['double']} answers gave an id that another had")
    if found["phantom"]:
        violations.append(
            f"ids: phantom: {found['untold']} rows have an id that no answer gave, and the outcome "
            f"of only {found['unknown']} requests is unknown")
    if no_id:
        violations.append(f"ids: {no_id} answers said that they had reserved, and gave no id")
    return violations


def audit_ids(measured, path, statuses, unknown_before=0):
    """The whole of it, for a measurement: what is wrong, in words. `unknown_before`: unknown
    outcomes of other runs with the same file and tables, such as a warm-up."""
    measured["ids"] = missing_ids(path, statuses,
                                  measured["unknown_outcomes"] + unknown_before)
    return id_violations(measured["ids"], measured["no_id"])


def sellout_violations(measured, audit, capacity=SELLOUT_CAPACITY):
    """What is wrong after more was asked for than there is: never more rows than seats, and exactly
    as many when clearly more have asked (who was refused for another reason has not). Seats that
    somebody gave back were sold to the next, so none may be left."""
    seats = capacity * len(audit["concerts"])
    rows = summary.live_seats(audit)
    asked = measured["accepted"] + measured["sold_out"]
    violations = []
    if rows > seats:
        violations.append(f"sellout: oversold: {rows} rows for {seats} seats")
    if measured["accepted"] > seats:
        violations.append(f"sellout: {measured['accepted']} were accepted for {seats} seats")
    if rows < seats and asked >= SELLOUT_DEMAND * seats:
        violations.append(f"sellout: {asked} asked for {seats} seats, {measured['sold_out']} heard "
                          f"that it is sold out, and only {rows} are sold")
    return violations
