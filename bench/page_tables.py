"""The page's tables: of each scenario what was measured and what it cost, then ratios, goals, the
generator's ceiling and where it all was measured. Each as a Table of text."""

import figure_data as data
import plan
import tables
from cells import judged_text, number, ratio_digits
from study import NOTHING, Table, percent

# Of a measurement: the summary's name, the column's head, digits (None: as it is best read).
OUTCOMES = (
    ("planned_per_second", "planned/s", 0),
    ("answered_per_second", "answered/s", 0),
    (data.RATE, "accepted/s", 0),
    ("granted_per_second", "granted/s", 0),
    ("sold_out_per_second", "sold out/s", 0),
    ("refused_per_second", "other refusals/s", 0),
    ("error_rate", "error rate", None),
    ("rows_per_second", "rows/s", 0),
    ("transactions_per_second", "transactions/s", 0),
    ("raw_rows_per_second", "raw rows/s", 0),
    ("of_raw", "of raw", 2),
    ("victims_failed", "reads that failed", 0),
    ("victims_slowest_ms", "slowest read ms", None),
    ("hot_granted", "sold", 0),
    ("succeeded", "succeeded", 0),
    ("failed", "failed", 0),
    ("deadlocks", "deadlocks", 0),
    ("rows", "rows", 0),
    ("seats_sold", "seats sold", 0),
)
LATENCIES = (
    ("p50_ms", "p50 ms", None),
    ("p95_ms", "p95 ms", None),
    ("p99_ms", "p99 ms", None),
    ("p999_ms", "p99.9 ms", None),
    ("max_ms", "slowest ms", None),
    ("accepted_p50_ms", "p50 ms of the accepted", None),
    ("accepted_p99_ms", "p99 ms of the accepted", None),
    ("row_p50_ms", "row p50 ms", 1),
    ("row_p95_ms", "row p95 ms", 1),
    ("row_p99_ms", "row p99 ms", 1),
)
SPREAD = {data.RATE, "p99_ms", "rows_per_second", "victims_failed", "victims_slowest_ms",
          "succeeded", "failed", "deadlocks", "rows", "seats_sold"}  # shown with min–max
COUNTED = (("refused", "refused"), ("socket_errors", "broken"), ("timeouts", "timed out"),
           ("unsent", "never sent"), ("unanswered", "unanswered"))
SERVER_COSTS = (
    ("server_cpu_seconds_per_1000", "server CPU s per 1,000", 4),
    ("server_cpu_cores", "server CPU, cores", 2),
    ("cpu_cores_mean", "CPU cores, mean", 2),
    ("cpu_cores_max", "CPU cores, most", 2),
    ("cpu_seconds_per_1000", "CPU s per 1,000", 4),
    ("memory_mib", "memory MiB", 0),
    ("memory_mib_max", "memory MiB, most", 0),
    ("threads_max", "threads, most", 0),
    ("connections_active_max", "database connections active, most", 0),
    ("connections_pending_max", "waiting for one, most", 0),
    ("resvd_seconds_per_1000", "resvd CPU s per 1,000", 4),
    ("mariadbd_seconds_per_1000", "mariadbd CPU s per 1,000", 4),
    ("redis_seconds_per_1000", "Redis CPU s per 1,000", 4),
    ("kafka_seconds_per_1000", "Kafka CPU s per 1,000", 4),
    ("wrk_seconds_per_1000", "wrk CPU s per 1,000", 4),
    ("resvd_share", "resvd's share", 2),
)
STORE_COSTS = (
    ("database_cpu_seconds_per_1000", "database CPU s per 1,000", 4),
    ("database_commits_per_second", "commits/s", 0),
    ("database_syncs_per_second", "syncs/s", 0),
    ("database_reservations_per_commit", "reservations a commit", 1),
    ("redis_cpu_seconds_per_1000", "lock nodes' CPU s per 1,000", 4),
    ("redis_commands_per_reservation", "Redis commands each", 1),
    ("batch_rows", "rows a transaction of the strategy", 1),
    ("rows_per_transaction", "rows a transaction", 0),
    ("taken_per_call", "reservations a call of Redis", 1),
    ("commit_ms", "commit ms", None),
    ("events", "events", 0),
    ("backlog", "left at the end of the load", 0),
    ("drain_seconds", "gone after s", None),
    ("seconds", "seconds", None),
    ("generator_busy", "generator busy", 2),
    ("generator_late_p99_ms", "generator late, p99 ms", None),
)
COLUMNS_MAX = 10  # of a table, beside the first and what is counted
SKIPPED = "skipped"  # under an open loop what was not measured broke at a lower rate
RATE_HEADS = {"http": "answers/s", plan.STAMPEDE: "answers/s"}
FIELD_NAMES = {**tables.BOUND_FIELDS, **tables.FIELDS}


def case_title(entry):
    """Under what a case stands in the first column."""
    if entry.scenario in plan.LOOPS:
        return entry.load
    return f"{entry.title}, {entry.load}"


def range_text(found, digits):
    """Least and most of the rounds."""
    return f"{number(found['min'], digits)}–{number(found['max'], digits)}"


def median_text(document, entry, name, digits):
    value = data.median(document, entry, name)
    return percent(value) if name == "error_rate" else number(value, digits)


def known_columns(document, found, columns):
    return [column for column in columns
            if any(data.spread(document, entry, column[0]) for entry in found)]


def head_of(scenario, name, text):
    return RATE_HEADS.get(scenario, text) if name == data.RATE else text


def held_text(document, entry):
    held, count = data.held_rounds(document, entry)
    if count == 0:
        return NOTHING
    return "yes" if held == count else "broke" if held == 0 else f"in {held} of {count} rounds"


def sold_text(document, entry):
    """Seats sold of those that there are, over all rounds; None where no audit says it."""
    texts = []
    for measured in data.measurements(document, entry):
        concerts = (measured.get("audit") or {}).get("concerts", [])
        if concerts:
            texts.append(f"{number(sum(one['sold'] for one in concerts), 0)} of "
                         f"{number(sum(one['capacity'] for one in concerts), 0)}")
    return "; ".join(dict.fromkeys(texts)) or None


def status_text(document, entry):
    """"201: 20; 409: 80" of all rounds; None where statuses were not counted."""
    measured = data.measurements(document, entry)
    found = data.counted(measured, "statuses") or data.counted(measured, "hot_statuses")
    return "; ".join(f"{status}: {count:,}" for status, count in found.items()) or None


def extra_columns(document, scenario, found):
    """Columns that are no medians: (head, cell of an entry)."""
    columns = []
    if scenario in plan.OPEN_LOOPS:
        columns.append(("held", lambda entry: held_text(document, entry)))
    if scenario == plan.SELLOUT:
        columns.append(("rows sold, of capacity", lambda entry: sold_text(document, entry)))
    for name, head in COUNTED:
        if any(data.total(document, entry, name) for entry in found):
            columns.append((head, lambda entry, name=name: number(
                data.total(document, entry, name), 0)))
    if any(status_text(document, entry) for entry in found):
        columns.append(("answers by status", lambda entry: status_text(document, entry)))
    return columns


def cells_of(document, entry, columns):
    cells = []
    for name, _, digits in columns:
        found = data.spread(document, entry, name)
        text = median_text(document, entry, name, digits)
        cells.append(text + data.mark(document, entry) if name == data.RATE else text)
        if name in SPREAD:
            cells.append(range_text(found, digits) if found else NOTHING)
    return cells


def heads_of(scenario, columns):
    header = []
    for name, head, _ in columns:
        header.append(head_of(scenario, name, head))
        if name in SPREAD:
            header.append("min–max")
    return header


def in_tables(scenario, groups):
    """Groups of columns, (what they say, columns), put together where one table has room for them:
    on paper nothing scrolls."""
    tables = []
    for what, columns in groups:
        if not columns:
            continue
        wide = len(heads_of(scenario, columns))
        if tables and tables[-1][2] + wide <= COLUMNS_MAX:
            texts, before, width = tables.pop()
            tables.append(([*texts, what], [*before, *columns], width + wide))
        else:
            tables.append(([what], list(columns), wide))
    return tables


def measured_tables(document, scenario):
    """Outcomes and latencies, a row for each case; skipped ones too."""
    found = data.entries(document, scenario)
    if scenario in plan.OPEN_LOOPS:
        found = data.at_all_rates(found)
    extra = extra_columns(document, scenario, found)
    groups = (("outcomes", known_columns(document, found, OUTCOMES)),
              ("latencies", known_columns(document, found, LATENCIES)))
    tables = in_tables(scenario, groups) or [(["outcomes"], [], 0)]  # of what nothing is known
    for place, (texts, columns, _) in enumerate(tables):
        further = extra if place == 0 else []
        header = [f"{scenario}: case", *heads_of(scenario, columns),
                  *(head for head, _ in further), "rounds"]
        # What has none of a further table's columns stands in the first.
        rows = [measured_row(document, entry, columns, further, len(header)) for entry in found
                if place == 0 or known_columns(document, [entry], columns)]
        yield Table(f"`{scenario}`: {' and '.join(texts)}, medians of the rounds", tuple(header),
                    tuple(rows))


def measured_row(document, entry, columns, extra, width):
    count = len(data.measurements(document, entry))
    if count == 0:
        text = SKIPPED if entry.scenario in plan.OPEN_LOOPS else "none"
        return (case_title(entry), *[NOTHING] * (width - 2), text)
    skipped = len(data.in_rounds(document, entry)) - count
    rounds = f"{count}, {skipped} {SKIPPED}" if skipped else str(count)
    further = [text if (text := cell(entry)) is not None else NOTHING for _, cell in extra]
    return (case_title(entry), *cells_of(document, entry, columns), *further, rounds)


def cost_tables(document, scenario):
    """What it cost; nothing where nothing of that was measured."""
    found = [entry for entry in data.entries(document, scenario)
             if data.measurements(document, entry)]
    groups = (("the servers' cost", known_columns(document, found, SERVER_COSTS)),
              ("the stores' and the generator's work", known_columns(document, found, STORE_COSTS)))
    for texts, columns, _ in in_tables(scenario, groups):
        rows = tuple((case_title(entry), *cells_of(document, entry, columns)) for entry in found)
        yield Table(f"`{scenario}`: {' and '.join(texts)}, medians of the rounds",
                    (f"{scenario}: case", *heads_of(scenario, columns)), rows)


# --- ratios and goals -----------------------------------------------------------------------------


def case_name(key):
    entry = data.entry_of(key)
    return f"{entry.scenario}: {case_title(entry)}"


def goal_text(found):
    if found.get("goal") is None:
        return NOTHING
    return (f"{found['goal_is']} {found['goal']:,g}: "
            + ("reached" if found["goal_reached"] else "missed"))


def comparison_table(document):
    rows = [(f"{case_name(found['case'])} : {case_name(found['to'])}",
             FIELD_NAMES.get(found["field"], found["field"]), judged_text(found),
             range_text(found["ratio"], ratio_digits(found)),
             "overlap: no ranking" if found["spreads_overlap"] else "apart", goal_text(found))
            for found in data.comparisons(document)]
    if not rows:
        return None
    least = min(found["range_confidence"] for found in data.comparisons(document))
    return Table("Ratios, each taken in the same round", (
        "one : the other", "of", "median", "min–max", "spreads", "goal"), tuple(rows), (
        f"The least and the most of the rounds hold the true median with a confidence of "
        f"{100 * least:.0f}% or more.",))


def bound_table(document):
    rows = [(case_name(found["case"]), FIELD_NAMES.get(found["field"], found["field"]),
             judged_text(found), "worst round" if found["judged_by"] == "max" else "median",
             goal_text(found))
            for found in document.get("bounds", [])]
    if not rows:
        return None
    return Table("Goals that need no other case", ("case", "of", "value", "which", "goal"),
                 tuple(rows))


# --- where it was measured ------------------------------------------------------------------------


def ceiling_table(document):
    rows = []
    for found in document.get("generator_ceilings", []):
        is_wrk = found.get("generator", "wrk") == "wrk"  # others are held against what they reached
        rows.append((str(found.get("load", NOTHING)),
                     number(found.get(data.RATE), 0) if is_wrk else NOTHING,
                     number(found.get("generator_busy")),
                     number(found.get("generator_ceiling"), 0)))
    if not rows:
        return None
    return Table("The load generator's own ceiling", (
        "load", "against the cheapest server /s", "generator busy", "its ceiling /s"), tuple(rows), (
        "Against a server that gives fixed answers without looking at requests: none of one loop "
        "can be quicker here. wrk's ceiling is what it would reach if it were busy all the time; "
        "k6's is what it reached with all of its users, on a new connection for each request, the "
        "open loop's what was answered at twice its highest rate.",))


def fact_text(value):
    if isinstance(value, dict):
        return ", ".join(f"{name}={fact_text(inner)}" for name, inner in value.items())
    if isinstance(value, list):
        return "; ".join(fact_text(inner) for inner in value)
    return "(none)" if value in ("", None) else str(value)


def fact_rows(found):
    for name, value in found.items():
        if value is not None:
            text = f"{value:.0f}" if isinstance(value, float) else fact_text(value)
            yield name.replace("_", " "), text


def facts_table(document):
    rows = [*fact_rows(document["facts"]), *fact_rows(document["parameters"])]
    averages = [entry["load_average"][0] for entry in document["rounds"]
                if entry.get("load_average")]
    if averages:
        rows.append(("load average before rounds",
                     ", ".join(number(value, 2) for value in averages)))
    return Table("Machine, versions and settings", ("what", "value"), tuple(rows))
