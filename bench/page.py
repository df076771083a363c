#!/usr/bin/env python3
"""The report of a run as one HTML page: plots and tables of its JSON document. It needs no network
and no other file, and the same document gives the same page.

    bench/page.py FILE.json               writes FILE.html beside it
    bench/page.py FILE.json --summary     prints the README's tables
    bench/page.py FILE.json --markdown    prints the source study's tables beside ours
"""

import argparse
import html as html_of
import json
import pathlib
import re
import sys

import figure_data as data
import page_summary
import page_tables
import plan
import readme_tables
import study
from cells import judged_text

STYLE = pathlib.Path(__file__).resolve().parent / "page.css"
EXIT_BAD_FILE = 65
EXIT_UNAVAILABLE = 69
NEEDED = ("facts", "parameters", "summary", "rounds", "violations", "warnings")

TITLES = {
    "one": "one hot concert at full load", "ten": "ten concerts at full load",
    plan.HOT: "one concert, at rates that do not wait", plan.SELLOUT: "demand far above capacity",
    plan.STAMPEDE: "the study's own load", plan.PEERS: "resvd beside the study's architecture",
    plan.LOCKS: "the row lock and the lock in Redis",
    plan.ISOLATION: "what a hot concert does to others",
    plan.DEADLOCK: "no control at all", plan.ASYNC: "accepted first, written behind",
    plan.DRAIN: "a backlog of events becomes rows", "http": "an answer at once, nothing stored",
    "embedded": "durable reservations in a file", "sqlite": "the raw SQLite loop, no server",
    "mariadb": "the raw MariaDB loop, one connection",
}
TEXTS = {
    plan.HOT: "Held: at least 98% of the planned requests were answered, and their p99 was at most "
              "1,000 ms. After two rates that a strategy did not hold in a round it is not asked "
              "for higher ones in that round: those are skipped. Latencies are of all planned "
              "requests: who was never sent, or never answered, is in them with the time that it "
              "waited at least.",
    plan.SELLOUT: "The audit wants exactly as many rows as there are seats. Accepted a second: "
                  "until the last seat had gone; sold out a second: from then on.",
    plan.STAMPEDE: "k6, a new connection for each request: users from 0 up, held, and down again. "
                   "Latency is that of k6's iterations, the wait for a connection included. An "
                   "error is every one that was neither accepted nor told that there is no seat.",
    plan.PEERS: "The peer is a Spring Boot application of the study's architecture, on the same "
                "Redis, Kafka and MariaDB, in the same rounds.",
    plan.ASYNC: "CPU seconds are for 1,000 accepted, until the last row was there. Row: from the "
                "event being made until its row was durable.",
    plan.DRAIN: "The consumer alone; raw: INSERTs of as many rows a transaction on one connection, "
                "right after it.",
}


TEXT_CLASS = ' class="text"'


class Unreadable(Exception):
    """Its text is for the reader as it stands."""


def escape(text):
    """Also ready for an attribute; `code` of Markdown becomes an element."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html_of.escape(str(text)))


def plain(text):
    """For where there can be no elements."""
    return html_of.escape(str(text).replace("`", ""))


def identity_of(text):
    """An id, from any text."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "part"


def title_of(scenario):
    return f"`{scenario}`" + (f": {TITLES[scenario]}" if scenario in TITLES else "")


# --- parts ----------------------------------------------------------------------------------------


def is_text(cell):
    """Words are read from the left, numbers from the right."""
    return len(re.findall(r"[A-Za-z]{2,}", cell)) > 1 or "; " in cell


def text_columns(table):
    """The places of columns with words in them, but the first, which has its own look."""
    return {place for row in table.rows for place, cell in enumerate(row)
            if place and is_text(cell)}


def row_html(row, texts):
    cells = [f'<th scope="row">{escape(row[0])}</th>']
    for place, cell in enumerate(row[1:], 1):
        cells.append(f"<td{TEXT_CLASS if place in texts else ''}>{escape(cell)}</td>")
    return f"<tr>{''.join(cells)}</tr>"


def table_html(table):
    """In a box of its own, which scrolls where the page is too narrow."""
    if table is None:
        return ""
    texts = text_columns(table)
    heads = "".join(
        f'<th scope="col"{TEXT_CLASS if place in texts else ""}>{escape(head)}</th>'
        for place, head in enumerate(table.header))
    lines = [f'<div class="scroll" role="region" tabindex="0" aria-label="{plain(table.title)}">',
             f"<table><caption><span>{escape(table.title)}</span></caption>",
             f"<thead><tr>{heads}</tr></thead>", "<tbody>",
             *(row_html(row, texts) for row in table.rows), "</tbody></table></div>"]
    if table.notes:
        lines.append('<ul class="notes">' + "".join(
            f"<li>{escape(note)}</li>" for note in table.notes) + "</ul>")
    return "\n".join(lines)


def figure_html(figure):
    """Both layouts, of which the page shows one; its numbers, where no other table has them."""
    lines = [f'<figure id="{figure.identity}">', *figure.svgs,
             f"<figcaption>{escape(figure.caption)}</figcaption>", "</figure>"]
    for table in figure.tables:
        lines += ["<details><summary>The numbers of this figure</summary>", table_html(table),
                  "</details>"]
    return "\n".join(lines)


def list_html(texts):
    return "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in texts) + "</ul>"


# --- sections -------------------------------------------------------------------------------------


def audit_html(document):
    """What is wrong first."""
    parts = []
    if document["violations"]:
        parts.append('<div class="bad"><p><strong>This run failed: an audit or a measurement found '
                     "this.</strong></p>" + list_html(document["violations"]) + "</div>")
    known = page_summary.known_violations(document)
    if not document["violations"] and page_summary.was_audited(document):
        parts.append('<p class="good">Every run ended with an audit: nothing oversold, lost or '
                     f"phantom{', but what stands below' if known else ''}.</p>")
    if known:
        parts.append('<div class="bad"><p>Known to oversell or to lose, and found to do so, which '
                     "does not fail the run:</p>" + list_html(
                         f"{title}: {'; '.join(texts)}" for title, texts in known.items())
                     + "</div>")
    if document["warnings"]:
        parts.append('<div class="bad"><p><strong>Warnings</strong></p>'
                     + list_html(document["warnings"]) + "</div>")
    return "\n".join(parts)


def missed_html(document):
    missed = list(page_summary.missed_goals(document))
    if not missed:
        return ""
    return ("<h3>Goals that were missed</h3>" + list_html(
        f"{page_tables.case_name(found['case'])}"
        + (f" : {page_tables.case_name(found['to'])}" if "to" in found else "")
        + f", {page_tables.FIELD_NAMES.get(found['field'], found['field'])}: "
        + f"{judged_text(found)}, {page_tables.goal_text(found)}"
        for found in missed))


def summary_html(document):
    results = list(page_summary.results(document))
    lines = [f"<p>{escape(page_summary.machine_text(document))}</p>", audit_html(document)]
    if results:
        lines += ["<h3>Main results</h3>", "<dl>"]
        for scenario, texts in results:
            lines.append(f"<dt>{escape(title_of(scenario))}</dt>")
            lines += [f"<dd>{escape(text)}</dd>" for text in texts]
        lines.append("</dl>")
    lines += [missed_html(document), "<h3>How to read this page</h3>",
              list_html(page_summary.READING)]
    return "\n".join(line for line in lines if line)


def scenario_html(document, scenario, figures):
    lines = [f"<p>{escape(TEXTS[scenario])}</p>"] if scenario in TEXTS else []
    lines += [figure_html(figure) for figure in figures]
    lines += [table_html(table) for table in (*page_tables.measured_tables(document, scenario),
                                              *page_tables.cost_tables(document, scenario))]
    lines.append(table_html(study.table_of(document, scenario)))
    return "\n".join(line for line in lines if line)


def sections(document):
    """(id, title, content) of all that the document has."""
    # What needs no plots works without matplotlib.
    import figures

    styles = figures.looks(document)
    yield "summary", "Summary", summary_html(document)
    for scenario in data.scenarios(document):
        yield (identity_of(f"scenario-{scenario}"), title_of(scenario), scenario_html(
            document, scenario, figures.of_scenario(document, scenario, styles)))
    for identity, title, table in (
            ("ratios", "Ratios", page_tables.comparison_table(document)),
            ("goals", "Goals by themselves", page_tables.bound_table(document)),
            ("ceiling", "The load generator", page_tables.ceiling_table(document)),
            ("machine", "Machine, versions, settings", page_tables.facts_table(document))):
        if table:
            yield identity, title, table_html(table)


def series_css():
    """The colours of series; in the dark, others."""
    import figure_canvas

    light, dark = (" ".join(f"--series-{number}: {pair[mode]};"
                            for number, pair in enumerate(figure_canvas.PALETTE))
                   for mode in (0, 1))
    return (f":root {{ {light} }}\n"
            f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n")


def html(document):
    """The whole page of the document that report.make gives. Needs matplotlib."""
    facts = document["facts"]
    found = list(sections(document))
    lines = [
        "<!DOCTYPE html>", '<html lang="en">', "<head>", '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>resvd: benchmark of {plain(facts['commit'])}, {plain(facts['date'])}</title>",
        f"<style>\n{series_css()}{STYLE.read_text(encoding='utf-8')}</style>", "</head>", "<body>",
        "<header>", "<h1>resvd: benchmark</h1>",
        f'<p class="meta">Commit {plain(facts["commit"])}, {plain(facts["date"])}</p>', "</header>",
        '<nav aria-label="Contents"><ul>',
        *(f'<li><a href="#{identity}">{escape(title)}</a></li>' for identity, title, _ in found),
        "</ul></nav>", "<main>"]
    for identity, title, content in found:
        lines += [f'<section id="{identity}" aria-labelledby="{identity}-title">',
                  f'<h2 id="{identity}-title">{escape(title)}</h2>', content, "</section>"]
    return "\n".join([*lines, "</main>", "</body>", "</html>"]) + "\n"


# --- the command ----------------------------------------------------------------------------------


def read(path):
    """A run's document; raises Unreadable with what is wrong with it."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"{path}: not JSON: {error}") from error
    missing = [name for name in NEEDED if not isinstance(document, dict) or name not in document]
    if missing:
        raise Unreadable(f"{path}: no result of ./dev bench: it has no \"{missing[0]}\"")
    return document


def write(document, path):
    """The page, beside the JSON at `path`; returns where."""
    target = path.with_suffix(".html")
    target.write_text(html(document), encoding="utf-8")
    return target


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="./dev report", description="The report of a run, from the JSON that it left.")
    parser.add_argument("file", type=pathlib.Path, metavar="FILE.json")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--summary", action="store_true", help="print the README's tables")
    kind.add_argument("--markdown", action="store_true",
                      help="print the source study's tables beside ours")
    options = parser.parse_args(arguments)
    try:
        document = read(options.file)
    except Unreadable as error:
        print(f"report: {error}", file=sys.stderr)
        return EXIT_BAD_FILE
    if options.summary:
        print(readme_tables.summary(document, options.file.name))
        return 0
    if options.markdown:
        print("\n".join(study.markdown(document)))
        return 0
    try:
        print(f"written: {write(document, options.file)}")
    except ModuleNotFoundError as error:
        print(f"report: the page needs {error.name}: python3 -m pip install -r "
              "tools/bench-requirements.txt", file=sys.stderr)
        return EXIT_UNAVAILABLE
    return 0


if __name__ == "__main__":
    sys.exit(main())
