"""The README's tables, from the JSON document of a run: the strategies side by side, and resvd beside
the peer. Below each stands the file that its numbers come from."""

import re

import figure_data as data
import plan
import subjects as subjects_of
import summary as statistics_of
from cells import number
from study import NOTHING, Table, markdown_table

CONNECTIONS = re.compile(r"(\d+) connections")
PEER = "peer-"  # begins the names of the study's program's subjects
CPU = "server_cpu_seconds_per_1000"
LIMITED_TEXT = "⚠: the load generator, not the server, may have been the limit."


def durable(document, entry):
    """What an answer promises."""
    subject = subjects_of.BY_NAME.get(entry.subject)
    if subject is None:
        return NOTHING
    if subject.writes_behind:
        return "202: in Kafka, its row follows"
    if "mariadb" not in subject.services:
        return "201: on the disk"
    flush = (document["facts"].get("mariadb") or {}).get("innodb_flush_log_at_trx_commit", "1")
    text = "201: COMMIT" + ("" if flush == "1" else f", not synced ({flush})")
    return text + (", oversells" if subject.oversells else "")


def connections_of(entry):
    match = CONNECTIONS.fullmatch(entry.load)
    return int(match[1]) if match else None


def side_by_side(document):
    """One concert at each number of connections; {subject: {connections: entry}}. What is not among
    the strategies of `one` may be in `async`."""
    found = {}
    for scenario in ("one", plan.ASYNC):
        for entry in data.entries(document, scenario):
            known = subjects_of.BY_NAME.get(entry.subject)
            count = connections_of(entry)
            if known and count and data.measurements(document, entry):
                found.setdefault(entry.subject, {}).setdefault(count, entry)
    return found


def strategies_table(document):
    found = side_by_side(document)
    if not found:
        return None
    counts = [count for count in plan.CONNECTIONS
              if any(count in entries for entries in found.values())]
    header = ["one concert"]
    for count in counts:
        header += [f"{count} connections", "p99"]
    header += ["resvd's CPU seconds per 1,000", "an answer says"]
    rows = []
    for entries in found.values():
        some = next(iter(entries.values()))
        row, cpu = [some.title], []
        for count in counts:
            entry = entries.get(count)
            row += [per_second(document, entry), milliseconds(document, entry)]
            cpu.append(number(entry and data.median(document, entry, CPU), 4))
        rows.append((*row, " / ".join(cpu), durable(document, some)))
    return Table("Strategies side by side", tuple(header), tuple(rows))


def per_second(document, entry, name=data.RATE, unit="/s"):
    value = entry and data.median(document, entry, name)
    return NOTHING if value is None else f"{number(value, 0)}{unit}{data.mark(document, entry)}"


def milliseconds(document, entry):
    value = entry and data.median(document, entry, "p99_ms")
    if value is None:
        return NOTHING
    return f"{number(value, 1 if value < 10 else 0)} ms"


def is_peer(entry):
    return entry.subject.startswith(PEER)


def ratio(document, entry, other, name):
    """Median of the ratios of the same rounds, as the document says it or from its rounds."""
    for found in data.comparisons(document):
        if (found["case"], found["to"], found["field"]) == (entry.key, other.key, name):
            return found["ratio"]["median"]
    found = statistics_of.spread(statistics_of.ratios(
        data.values(document, entry, name), data.values(document, other, name)))
    return found["median"] if found else None


def rate_of(document, entry):
    """What is compared: requests, or rows where there is a backlog alone: (name, unit)."""
    if data.median(document, entry, data.RATE) is not None:
        return data.RATE, "/s"
    return "rows_per_second", " rows/s"


def peers_table(document):
    """Each load's subjects; ratios are against the peer that does without the study's pauses."""
    found = [entry for entry in data.entries(document, plan.PEERS)
             if data.median(document, entry, rate_of(document, entry)[0]) is not None]
    rows = []
    for load in data.loads(found):
        same = [entry for entry in found if entry.load == load]
        peers = [entry for entry in same if is_peer(entry)]
        fair = next((entry for entry in peers if entry.subject.endswith("-fair")), None)
        for entry in same:
            name, unit = rate_of(document, entry)
            times = ratio(document, entry, fair, name) if fair and not is_peer(entry) else None
            rows.append((
                entry.title, load, per_second(document, entry, name, unit),
                milliseconds(document, entry), number(data.median(document, entry, CPU), 4),
                NOTHING if times is None else f"{number(times, 1)}x"))
    if not rows:
        return None
    return Table("resvd beside a Spring Boot application of the study's architecture", (
        "same machine, same services", "load", "accepted", "p99", "server's CPU seconds per 1,000",
        "against the fair peer, same round"), tuple(rows))


def source_line(document, source):
    """So that every number can be traced."""
    facts, parameters = document["facts"], document["parameters"]
    return (f"From `{source}`: " if source else "") + (
        f"commit {facts['commit']}, {facts['date']}, {facts['cpu']}, {facts['cores']} cores; "
        f"medians of {parameters['rounds_done']} rounds of {parameters['seconds']} s.")


def summary(document, source=""):
    """Both tables as Markdown; "" where the document has neither. `source` is the JSON's name."""
    lines = []
    for table in (strategies_table(document), peers_table(document)):
        if table:
            lines += [*markdown_table(table), "", source_line(document, source)]
            if any(data.LIMITED_MARK.strip() in cell for row in table.rows for cell in row):
                lines.append(LIMITED_TEXT)
            lines.append("")
    return "\n".join(lines)
