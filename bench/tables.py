"""The report for people: Markdown tables of the document that report.py makes."""

EMBEDDED_CPU_GOAL = 0.02  # seconds per 1,000 reservations

NAMES = {
    ("http", "resvd"): "resvd (answers at once)",
    ("http", "nginx"): "nginx, 1 worker",
    ("http", "nginx-auto"): "nginx, a worker a core",
    ("embedded", "resvd"): "resvd embedded",
    ("embedded", "resvd-single"): "resvd, one transaction a request",
    ("embedded", "nginx"): "nginx, 1 worker (stores nothing)",
}


def number(value, digits=None):
    if value is None:
        return "–"
    if digits is None:
        digits = 0 if abs(value) >= 100 else 2
    return f"{value:,.{digits}f}"


def median_of(found, field, digits=None):
    return number(found[field]["median"], digits) if field in found else "–"


def range_of(spread, digits=None):
    return (f"{number(spread['lower_quartile'], digits)}–{number(spread['upper_quartile'], digits)}"
            f" ({number(spread['min'], digits)}–{number(spread['max'], digits)})")


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |"]
    lines.append("|" + "|".join(" --- " if i == 0 else " ---: " for i in range(len(header))) + "|")
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return lines + [""]


def server_rows(document, scenario, cases):
    for case in cases:
        found = document["summary"].get(case.key)
        if case.scenario != scenario or not found:
            continue
        busy = median_of(found, "generator_busy")
        mark = " ⚠" if found["generator_limited_rounds"] else ""
        errors = found["refused"] + found["socket_errors"] + found["timeouts"]
        row = [f"{NAMES[case.scenario, case.subject]}, {case.load}",
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


def loop_section(document, cases):
    rows = []
    for case in cases:
        found = document["summary"].get(case.key)
        if case.scenario != "sqlite" or not found:
            continue
        load = case.load
        if case.rows == 0:
            load += f" ({median_of(found, 'rows_per_transaction', 0)} rows)"
        if case.rows == 1:
            load = "1 row a transaction (one a request)"
        rows.append([load, median_of(found, "rows_per_second", 0),
                     range_of(found["rows_per_second"], 0),
                     median_of(found, "transactions_per_second", 0),
                     median_of(found, "cpu_seconds_per_1000", 4)])
    if not rows:
        return []
    header = ["raw SQLite loop", "median rows/s", "quartiles (min–max)", "transactions/s",
              "CPU s per 1,000"]
    return ["## The raw SQLite loop: same schema, page size, settings and disk, no server", ""
            ] + table(header, rows)


def name_of(key):
    scenario, load, subject = key.split("/")
    if scenario == "sqlite":
        return f"raw loop, {load}"
    return f"{NAMES[scenario, subject]}, {load}"


def comparison_section(document):
    rows = []
    for entry in document["comparisons"]:
        goal = "–"
        if entry["goal"] is not None:
            goal = f"{entry['goal']} {'reached' if entry['goal_reached'] else 'MISSED'}"
        rows.append([f"{name_of(entry['case'])} : {name_of(entry['to'])}",
                     number(entry["ratio"]["median"]), range_of(entry["ratio"], 2),
                     "overlap: no ranking" if entry["spreads_overlap"] else "apart", goal])
    if not rows:
        return []
    header = ["ratio of rates in the same round", "median", "quartiles (min–max)", "spreads",
              "goal"]
    return ["## Ratios", ""] + table(header, rows)


def cpu_goal_line(document, cases):
    lines = []
    for case in cases:
        found = document["summary"].get(case.key, {})
        if case.scenario == "embedded" and case.subject == "resvd" and found:
            used = found["server_cpu_seconds_per_1000"]["median"]
            word = "reached" if used <= EMBEDDED_CPU_GOAL else "MISSED"
            lines.append(f"- {case.load}: {used:.4f} CPU seconds per 1,000 reservations; "
                         f"goal {EMBEDDED_CPU_GOAL}: {word}")
    return ["## CPU of `embedded`", ""] + lines + [""] if lines else []


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


def ceiling_section(document):
    rows = [[entry["load"], number(entry["requests_per_second"], 0),
             number(entry["generator_busy"]), number(entry["generator_ceiling"], 0)]
            for entry in document["generator_ceilings"]]
    if not rows:
        return []
    header = ["load", "cheapest server /s", "wrk busy", "wrk's ceiling /s"]
    return ["## The load generator's own ceiling", "",
            "wrk against one loop that gives fixed answers without looking at requests: no server "
            "of one loop can", "be quicker here. wrk's ceiling is what it would reach if it were "
            "busy all the time. ⚠ below marks", "results within 80% of it, or with wrk over 80% "
            "busy: there wrk, not the server, may be the limit.", ""] + table(header, rows)


def markdown(document, cases):
    lines = ["# resvd: benchmark", ""]
    lines += [f"> **{text}**" for text in document["warnings"]]
    if document["violations"]:
        lines += ["", "## FAILED", ""]
        lines += [f"- {text}" for text in document["violations"]] + [""]
    elif any(case.scenario == "embedded" for case in cases):
        lines += ["", "Every run ended with an audit: nothing oversold, lost or phantom.", ""]
    lines += [""] + facts_section(document)
    lines += ceiling_section(document)
    lines += server_section(document, "HTTP: an answer at once, against `return 202`", "http",
                            cases)
    lines += server_section(document, "`embedded`: durable reservations of one concert",
                            "embedded", cases)
    lines += loop_section(document, cases)
    lines += comparison_section(document)
    lines += cpu_goal_line(document, cases)
    lines += ["Rates, latencies and CPU are medians of the rounds. The load is a closed loop: each "
              "connection waits", "for its answers before it asks again, so latencies are those at "
              "full load, as wrk reports them", "(with its own correction); with pipelining wrk's "
              "are of no use and left out."]
    return "\n".join(lines) + "\n"
