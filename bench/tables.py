"""The report for people: Markdown tables of the document that report.py makes."""

import isolation
import plan
import study
import subjects as subjects_of
import tables_load
from cells import judged_text, median_of, number, range_of, ratio_digits, table
from figure_data import title_of

FIELDS = {"requests_per_second": "rates", "p99_ms": "p99",
          "server_cpu_seconds_per_1000": "the server's CPU", "rows_per_second": "rows/s"}

STORE_TITLES = {
    "one": "One hot concert at full load, durable 201s", "ten": "10 concerts at full load, durable 201s",
    plan.LOCKS: "The row lock and the lock in Redis, durable 201s",
}
BOUND_FIELDS = {
    "requests_per_second": "accepted/s", "victims_failed": "reads that failed",
    "server_cpu_seconds_per_1000": "CPU seconds of resvd per 1,000",
    "resvd_share": "resvd's part of all CPU", "rows_per_second": "rows/s",
    "of_raw": "rows/s : those of the raw INSERT",
}


def server_rows(document, scenario, cases):
    for case in cases:
        found = document["summary"].get(case.key)
        if case.scenario != scenario or not found:
            continue
        busy = median_of(found, "generator_busy")
        mark = " ⚠" if found["generator_limited_rounds"] else ""
        errors = found["refused"] + found["socket_errors"] + found["timeouts"]
        row = [f"{title_of(case.scenario, case.subject)}, {case.load}",
               median_of(found, "requests_per_second", 0),
               range_of(found["requests_per_second"], 0),
               median_of(found, "p50_ms"), median_of(found, "p99_ms"),
               median_of(found, "server_cpu_seconds_per_1000", 4),
               busy + mark, number(errors, 0)]
        if scenario == "embedded":
            row.insert(5, median_of(found, "batch_rows", 1))
        yield row


def server_section(document, title, scenario, cases):
    rows = list(server_rows(document, scenario, cases))
    if not rows:
        return []
    header = ["server, load", "median /s", "quartiles (min–max)", "p50 ms", "p99 ms",
              "CPU s per 1,000", "wrk busy", "errors"]
    if scenario == "embedded":
        header.insert(5, "rows a transaction")
    return [f"## {title}", ""] + table(header, rows)


def refused_share(found):
    """Refusals beside what was accepted: latencies are of both."""
    if not found["refused"]:
        return "0"
    return f"{found['refused']:,} ({100 * found['refused'] / max(1, found['answers']):.1f}%)"


def store_rows(document, scenario, cases):
    for case in cases:
        found = document["summary"].get(case.key)
        if case.scenario != scenario or not found:
            continue
        mark = " ⚠" if found["generator_limited_rounds"] else ""
        per_transaction = "batch_rows" if "batch_rows" in found else (
            "database_reservations_per_commit")
        row = [f"{title_of(case.scenario, case.subject)}, {case.load}",
               median_of(found, "requests_per_second", 0),
               range_of(found["requests_per_second"], 0),
               median_of(found, "p50_ms"), median_of(found, "p95_ms"),
               median_of(found, "p99_ms"),
               median_of(found, per_transaction, 1),
               median_of(found, "server_cpu_seconds_per_1000", 4),
               median_of(found, "database_cpu_seconds_per_1000", 4),
               median_of(found, "database_commits_per_second", 0),
               median_of(found, "database_syncs_per_second", 0),
               median_of(found, "generator_busy") + mark,
               refused_share(found),
               number(found["socket_errors"] + found["timeouts"], 0)]
        if scenario == plan.LOCKS:
            row[9:9] = [median_of(found, "redis_cpu_seconds_per_1000", 4),
                        median_of(found, "redis_commands_per_reservation", 1)]
        yield row


def store_section(document, scenario, cases):
    rows = list(store_rows(document, scenario, cases))
    if not rows:
        return []
    header = ["strategy, load", "accepted/s", "quartiles (min–max)", "p50 ms", "p95 ms", "p99 ms",
              "rows a transaction", "resvd CPU s per 1,000", "mariadbd CPU s per 1,000",
              "commits/s", "syncs/s", "wrk busy", "refused", "broken"]
    if scenario == plan.LOCKS:
        header[9:9] = ["Redis CPU s per 1,000", "Redis commands each (scripts' too)"]
    return [f"## `{scenario}`: {STORE_TITLES[scenario]}", ""] + table(header, rows)


CPU_OF = ("resvd", "mariadbd", "redis", "kafka", "wrk")


def cpu_cells(found):
    return [median_of(found, f"{name}_seconds_per_1000", 4) for name in CPU_OF] + [
        median_of(found, "resvd_share", 2)]


def async_rows(document, cases):
    for case in cases:
        found = document["summary"].get(case.key)
        if case.scenario != plan.ASYNC or not found:
            continue
        mark = " ⚠" if found["generator_limited_rounds"] else ""
        yield [f"{title_of(case.scenario, case.subject)}, {case.load}",
               median_of(found, "requests_per_second", 0),
               range_of(found["requests_per_second"], 0),
               median_of(found, "p50_ms"), median_of(found, "p95_ms"), median_of(found, "p99_ms"),
               median_of(found, "row_p50_ms", 1), median_of(found, "row_p99_ms", 1),
               median_of(found, "taken_per_call", 1), median_of(found, "batch_rows", 0),
               *cpu_cells(found),
               median_of(found, "backlog", 0), median_of(found, "drain_seconds"),
               median_of(found, "generator_busy") + mark,
               refused_share(found), number(found["socket_errors"] + found["timeouts"], 0)]


def async_section(document, cases):
    rows = list(async_rows(document, cases))
    if not rows:
        return []
    return [f"## `{plan.ASYNC}`: 202 when Redis has taken the seat and Kafka has the event", "",
            "CPU seconds are for 1,000 accepted, until the last row was there; share: resvd's part "
            "of them all.", "Row: from the event being made until its row was durable. Left: seats "
            "pending when the load ended; gone", "after: the seconds until none was.", ""] + table(
        ["strategy, load", "accepted/s", "quartiles (min–max)", "p50 ms", "p95 ms", "p99 ms",
         "row p50 ms", "row p99 ms", "reservations a call", "rows a transaction", "resvd CPU s",
         "mariadbd CPU s", "Redis CPU s", "Kafka CPU s", "wrk CPU s", "share", "left",
         "gone after s", "wrk busy", "refused", "broken"], rows)


def drain_rows(document, cases):
    for case in cases:
        found = document["summary"].get(case.key)
        if case.scenario != plan.DRAIN or "rows_per_second" not in (found or {}):
            continue
        yield [case.load, median_of(found, "events", 0),
               median_of(found, "rows_per_second", 0), range_of(found["rows_per_second"], 0),
               median_of(found, "rows_per_transaction", 0),
               median_of(found, "raw_rows_per_second", 0), median_of(found, "of_raw"),
               *cpu_cells(found)[:4]]


def drain_section(document, cases):
    rows = list(drain_rows(document, cases))
    if not rows:
        return []
    return [f"## `{plan.DRAIN}`: a backlog of events becomes rows", "",
            "The consumer alone, from its first COMMIT to its last; raw: INSERTs of so many rows a "
            "transaction on one", "connection, right after it. CPU seconds are for 1,000 rows, "
            "from the consumer's start on.", ""] + table(
        ["backlog", "events", "rows/s", "quartiles (min–max)", "rows a transaction", "raw rows/s",
         "of raw", "resvd CPU s", "mariadbd CPU s", "Redis CPU s", "Kafka CPU s"], rows)


def isolation_rows(document, cases):
    for case in cases:
        found = document["summary"].get(case.key)
        if case.scenario == plan.ISOLATION and found:
            failed = found["victims_failed"]
            yield [f"{title_of(case.scenario, case.subject)}, {case.load} "
                   f"(catalog_pool={case.catalog_pool})",
                   number(failed["median"], 0),
                   f"{number(failed['min'], 0)}–{number(failed['max'], 0)}",
                   median_of(found, "victims_slowest_ms"),
                   median_of(found, "hot_granted", 0)]


def isolation_section(document, cases):
    rows = list(isolation_rows(document, cases))
    if not rows:
        return []
    return [f"## `{plan.ISOLATION}`: what a hot concert does to others", "",
            f"{isolation.HOT_COUNT} reserve one concert at once, each keeping its lock for "
            f"{isolation.HOLD_MS} ms; {isolation.DELAY_S * 1000:.0f} ms later "
            f"{isolation.VICTIM_COUNT} read members.", f"{isolation.POOL} connections to the "
            f"database, a wait of {isolation.POOL_WAIT_MS} ms for one.", ""] + table(
        ["strategy, connections", f"reads that failed, of {isolation.VICTIM_COUNT}", "min–max",
         "slowest read ms", f"sold, of {isolation.HOT_COUNT}"], rows)


def loop_rows(document, scenario, cases):
    for case in cases:
        found = document["summary"].get(case.key)
        if case.scenario != scenario or not found:
            continue
        load = case.load
        if case.rows == 0:
            load += f" ({median_of(found, 'rows_per_transaction', 0)} rows)"
        if load == "1 row a transaction":
            load += " (one a request)"
        row = [load, median_of(found, "rows_per_second", 0),
               range_of(found["rows_per_second"], 0),
               median_of(found, "transactions_per_second", 0),
               median_of(found, "cpu_seconds_per_1000", 4)]
        if scenario == "mariadb":
            row.append(median_of(found, "database_cpu_seconds_per_1000", 4))
        yield row


def loop_section(document, title, scenario, cases):
    rows = list(loop_rows(document, scenario, cases))
    if not rows:
        return []
    header = ["raw loop", "median rows/s", "quartiles (min–max)", "transactions/s",
              "CPU s per 1,000"]
    if scenario == "mariadb":
        header.append("mariadbd CPU s per 1,000")
    return [f"## {title}", ""] + table(header, rows)


def name_of(key):
    scenario, rest = key.split("/", 1)
    load, subject = rest.rsplit("/", 1)  # a load may have one of its own: 500/s
    if scenario in plan.LOOPS:
        return f"raw loop, {load}"
    name = f"{title_of(scenario, subject)}, {load}"
    stands_alone = ("http", "embedded")
    return name if scenario in stands_alone else f"{scenario}: {name}"


def goal_text(entry):
    if entry["goal"] is None:
        return "–"
    return f"{entry['goal_is']} {entry['goal']}: {'reached' if entry['goal_reached'] else 'MISSED'}"


def comparison_section(document):
    rows = [[f"{name_of(entry['case'])} : {name_of(entry['to'])}",
             FIELDS[entry["field"]],
             judged_text(entry),
             range_of(entry["ratio"], ratio_digits(entry)),
             "overlap: no ranking" if entry["spreads_overlap"] else "apart", goal_text(entry)]
            for entry in document["comparisons"]]
    if not rows:
        return []
    header = ["ratio in the same round", "of", "median", "quartiles (min–max)", "spreads", "goal"]
    least = min(entry["range_confidence"] for entry in document["comparisons"])
    return ["## Ratios", "",
            f"min–max of the rounds holds the true median with a confidence of {100 * least:.0f}% "
            "or more.", ""] + table(header, rows)


def bound_section(document):
    rows = [[name_of(entry["case"]), BOUND_FIELDS[entry["field"]], judged_text(entry),
             "worst round" if entry["judged_by"] == "max" else "median", goal_text(entry)]
            for entry in document["bounds"]]
    if not rows:
        return []
    return ["## Goals by themselves", ""] + table(["case", "of", "value", "which", "goal"], rows)


def database_rows(variables):
    """The MariaDB of the run with what its figures rest on; nothing where none was used."""
    if not variables:
        return []
    name = f"MariaDB {variables.get('version', '?')}"
    if variables.get("version_comment"):
        name += f" ({variables['version_comment']})"
    settings = [f"{key}={value}" for key, value in variables.items()
                if not key.startswith("version")]
    return [["database", f"{name}: " + ", ".join(settings)]]


def lock_node_rows(found):
    """The Redis nodes of the run with what their answers rest on; nothing where none was used."""
    if not found:
        return []
    settings = ", ".join(f"{key}={value or '(none)'}" for key, value in found["settings"].items())
    return [["lock nodes", f"Redis {found['version']}, all on this machine, as many as N says: "
                           + settings]]


def stock_and_log_rows(found):
    """The Redis and the Kafka of the run with what their answers rest on; nothing where none was
    used."""
    if not found:
        return []
    settings = ", ".join(f"{key}={value or '(none)'}"
                         for key, value in found["redis_settings"].items())
    return [["stock", f"Redis {found['redis_version']}: {settings}"],
            ["log", f"Kafka {found['kafka_version']}, {found['kafka_brokers']} broker, a heap of "
                    f"{found['kafka_heap_mb']} MiB; acks=all, one replica, no sync a batch "
                    "(Kafka's default)"]]


def facts_section(document):
    facts = document["facts"]
    parameters = document["parameters"]
    disk = facts["file_system"]
    rows = [
        ["date", facts["date"]],
        ["commit", facts["commit"] + ("" if facts["tree_is_clean"] else ", with changes")],
        ["resvd", "; ".join(facts["resvd"])],
        ["build", ", ".join(f"{key}={value}" for key, value in facts["build"].items())],
        ["compared with", f"{facts['nginx'].split(': ')[-1]}; SQLite {facts['sqlite']}"],
        *database_rows(facts.get("mariadb")),
        *lock_node_rows(facts.get("lock_nodes")),
        *stock_and_log_rows(facts.get("stock_and_log")),
        ["load generator", f"{facts['wrk'].split(' Copyright')[0]}, "
                           f"{parameters['threads']} thread(s), closed loop"],
        ["machine", f"{facts['cpu']}, {facts['cores']} cores, {facts['memory_mib']} MiB"],
        ["system", f"{facts['system']}, {facts['kernel']}"],
        ["disk", f"{disk['device']} ({disk['type']}); 4 KiB appended and synced in "
                 f"{facts['sync_us']:.0f} µs"],
        ["rounds", f"{parameters['rounds_done']} of {parameters['rounds']}, "
                   f"{parameters['seconds']} s a measurement"],
        ["load average before rounds", ", ".join(
            f"{entry['load_average'][0]:.2f}" for entry in document["rounds"])],
        ["config digest", parameters["config_digest"][:16]],
    ]
    return table(["what", "value"], [[name, text.replace("|", "/")] for name, text in rows])


OTHER_CEILINGS = [
    "k6 under the stampede's stages against an nginx that only answers, while all users are there; "
    "the open loop at", "twice its highest rate against the fixed answers. Both share the cores "
    "with what they measure.", ""]


def is_wrk(entry):
    return entry.get("generator", "wrk") == "wrk"


def ceiling_section(document):
    ceilings = document["generator_ceilings"]
    rows = [[entry["load"], number(entry["requests_per_second"], 0),
             number(entry["generator_busy"]), number(entry["generator_ceiling"], 0)]
            for entry in ceilings if is_wrk(entry)]
    others = [[entry["load"], number(entry["generator_ceiling"], 0),
               number(entry["generator_busy"])] for entry in ceilings if not is_wrk(entry)]
    if not rows and not others:
        return []
    header = ["load", "cheapest server /s", "wrk busy", "wrk's ceiling /s"]
    return ["## The load generator's own ceiling", "",
            "wrk against one loop that gives fixed answers without looking at requests: no server "
            "of one loop can", "be quicker here. wrk's ceiling is what it would reach if it were "
            "busy all the time. ⚠ below marks", "results within 80% of it, or with wrk over 80% "
            "busy: there wrk, not the server, may be the limit.", "",
            *(table(header, rows) if rows else []),
            *(OTHER_CEILINGS + table(["load", "reached /s", "of its cores busy"], others)
              if others else [])]


def known_violations(document):
    """Strategies that are known to oversell do not fail the run, but are not passed over."""
    found = sorted({subject.title for entry in document["rounds"]
                    for key, measured in entry["measurements"].items()
                    for subject in (*subjects_of.ALL, *subjects_of.PEERS.values())
                    if subject.oversells and key.endswith("/" + subject.name)
                    and (measured or {}).get("violations")})
    return f"; but {', '.join(found)}: see its violations in the JSON." if found else "."


def markdown(document, cases):
    lines = ["# resvd: benchmark", ""]
    lines += [f"> **{text}**" for text in document["warnings"]]
    if document["violations"]:
        lines += ["", "## FAILED", ""]
        lines += [f"- {text}" for text in document["violations"]] + [""]
    elif any(case.scenario in plan.AUDITED for case in cases):
        lines += ["", "Every run ended with an audit: nothing oversold, lost or phantom"
                  + known_violations(document), ""]
    lines += [""] + facts_section(document)
    lines += ceiling_section(document)
    for scenario in plan.SALES:
        lines += store_section(document, scenario, cases)
    lines += tables_load.open_sections(document)
    lines += study.markdown(document)
    lines += tables_load.peer_sections(document)
    lines += isolation_section(document, cases)
    lines += async_section(document, cases)
    lines += drain_section(document, cases)
    lines += server_section(document, "HTTP: an answer at once, against `return 202`", "http",
                            cases)
    lines += server_section(document, "`embedded`: durable reservations of one concert",
                            "embedded", cases)
    lines += loop_section(document, "The raw SQLite loop: same schema, page size, settings and "
                          "disk, no server", "sqlite", cases)
    lines += loop_section(document, "The raw MariaDB loop: same server and tables, one connection",
                          "mariadb", cases)
    lines += comparison_section(document)
    lines += bound_section(document)
    lines += ["Rates, latencies and CPU are medians of the rounds. Where wrk is the load it is a "
              "closed loop: each connection", "waits for its answers before it asks again, so "
              "latencies are those at full load, as wrk reports them", "(with its own correction); "
              "with pipelining wrk's are of no use and left out. Those of the open loops count",
              "from the moment in which a request was planned, so that a stall delays all that "
              "was due meanwhile."]
    return "\n".join(lines) + "\n"
