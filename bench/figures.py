"""Which figures a document's scenarios have: what is drawn in each, its caption, and the tables that
hold what it shows."""

import dataclasses

import figure_data as data
import figure_lines
import figure_rows
import isolation
import plan
from cells import number
from figure_canvas import HATCHES, OUTCOMES, PAPER, SERIES, TEXT, Style
from figure_lines import Line, Panel
from figure_rows import Bar, Row
from study import NOTHING, Table

# Scenarios with a figure of rates and p99; loops have rows a second and no latency.
COMPARED = ("one", "ten", plan.STAMPEDE, plan.PEERS, plan.LOCKS, plan.ASYNC, plan.DRAIN, "http",
            "embedded", "sqlite", "mariadb")
P99_HELD_MS = 1000  # a rate with a higher p99 is not held
# What is drawn over time: its name in a sample, the panel's title.
SAMPLED = (
    ("requests_per_second", "answers a second"),
    ("cpu_cores", "CPU of the server, cores"),
    ("memory_mib", "memory of the server, MiB"),
    ("threads", "threads of the server"),
    ("connections_active", "database connections active"),
    ("connections_pending", "waiting for a database connection"),
    ("backlog", "backlog: accepted, no row yet"),
)
LOG_FROM = 30  # where the largest is so many times the smallest, a scale from 0 hides the small
OUTCOME_NAMES = ("accepted", "sold out", "all others")


@dataclasses.dataclass(frozen=True)
class Figure:
    """`svgs` has one for each layout; `tables` hold all of its numbers that stand nowhere else."""

    identity: str
    caption: str
    svgs: tuple
    tables: tuple = ()


def looks(document):
    """{subject: Style}. Those that meet in one drawing of lines come first: they need to differ
    most."""
    found = data.entries(document)
    order = [entry.subject for scenario in (plan.STAMPEDE, plan.HOT, plan.ASYNC)
             for entry in found if entry.scenario == scenario]
    order += [entry.subject for entry in found]
    return {subject: Style(place) for place, subject in enumerate(dict.fromkeys(order))}


def line_look(style, dashed=False):
    return {"color": style.color, "marker": style.marker, "linestyle": style.dash,
            "markersize": 5.5, **({"markerfacecolor": PAPER} if dashed else {})}


def subject_legend(found, styles):
    titles = {entry.subject: entry.title for entry in found}
    return tuple((title, line_look(styles[subject])) for subject, title in titles.items())


# --- bars: medians and their spread ---------------------------------------------------------------


def spread_bars(found, style, mark=data.NO_MARK, digits=None):
    """A panel's part of a row: a bar to the median, a whisker from the least to the most."""
    if found is None:
        return (), NOTHING
    bar = Bar(found["median"], style.color, low=found["min"], high=found["max"],
              hatch=style.hatch)
    return (bar,), number(found["median"], digits) + mark


def bar_row(document, entry, styles, names, label):
    mark = data.mark(document, entry)
    return Row(label, tuple(
        spread_bars(data.spread(document, entry, name), styles[entry.subject],
                    mark if place == 0 else data.NO_MARK,
                    0 if name.endswith(("_second", "_failed")) else None)
        for place, name in enumerate(names)))


def bar_groups(document, found, styles, names):
    """A group for each load; where there is but one subject, its loads are the rows."""
    if len({entry.subject for entry in found}) == 1:
        return ((found[0].title, tuple(
            bar_row(document, entry, styles, names, entry.load) for entry in found)),)
    return tuple((load, tuple(
        bar_row(document, entry, styles, names, entry.title) for entry in found
        if entry.load == load)) for load in data.loads(found))


PANEL_TITLES = {data.RATE: "accepted a second", "p99_ms": "p99, ms", "rows_per_second":
                "rows a second"}
RANKED_AS = {data.RATE: "Rates", "p99_ms": "p99", "rows_per_second": "Rows a second"}
RATE_TITLES = {"http": "answers a second", plan.STAMPEDE: "answers a second"}


def comparison_of(document, scenario, styles, found, names, identity):
    titles = tuple(RATE_TITLES.get(scenario, PANEL_TITLES[name]) if name == data.RATE
                   else PANEL_TITLES[name] for name in names)
    what = " and ".join(RANKED_AS[name] for name in names)
    texts = [f"{what} of `{scenario}`: bars are medians of the rounds, whiskers go from the least "
             "to the most of them."]
    texts += [data.ranking_text(document, found, name, RANKED_AS[name]) for name in names]
    chart = figure_rows.Chart(
        identity, f"Bars: {what} in the scenario {scenario}, by load. The table that follows has "
        "the numbers.", titles, bar_groups(document, found, styles, names))
    return Figure(identity, " ".join(text for text in texts if text), figure_rows.draw(chart))


def comparisons(document, scenario, styles):
    """Rates and p99, and rows a second where there are any."""
    found = data.entries(document, scenario)
    figures = []
    for names, part in ((
            (data.RATE, "p99_ms"), "rates"), (("rows_per_second",), "rows")):
        # A case of which both are known is a load: its rows are no rate of the consumer alone.
        there = [entry for entry in found if data.spread(document, entry, names[0])
                 and (names[0] == data.RATE or not data.spread(document, entry, data.RATE))]
        shown = tuple(name for name in names
                      if any(data.spread(document, entry, name) for entry in there))
        if there:
            figures.append(comparison_of(document, scenario, styles, there, shown,
                                         f"figure-{scenario}-{part}"))
    return figures


# --- open loops -----------------------------------------------------------------------------------


def rate_lines(document, found, styles, name, dashed):
    lines = []
    for subject in dict.fromkeys(entry.subject for entry in found):
        own = sorted((entry for entry in found if entry.subject == subject),
                     key=lambda entry: entry.rate)
        points = [(entry, data.median(document, entry, name)) for entry in own]
        points = [(entry, value) for entry, value in points if value is not None]
        if points:
            look = line_look(styles[subject], dashed)
            look["linestyle"] = (0, (5, 2)) if dashed else "-"
            lines.append(Line(
                tuple((entry.rate, value) for entry, value in points), look,
                tuple((entry.rate, value) for entry, value in points
                      if not data.held_always(document, entry))))
    return tuple(lines)


def latency_over_rate(document, styles):
    """`hot`: p50 and p99, each over the rate that was planned."""
    found = [entry for entry in data.entries(document, plan.HOT) if entry.rate]
    panels = []
    for name, title, dashed in (("p50_ms", "p50, ms (solid)", False),
                                ("p99_ms", "p99, ms (dashed)", True)):
        lines = rate_lines(document, found, styles, name, dashed)
        if lines:
            panels.append(Panel(title, "planned requests a second", lines, x_is_log=True,
                                y_is_log=True, limit=P99_HELD_MS if dashed else None))
    if not panels:
        return []
    legend = tuple((title, {**look, "linestyle": "-"})
                   for title, look in subject_legend(found, styles))
    legend += (("not held in every round", {
        "color": TEXT, "marker": "x", "markersize": 10, "markeredgewidth": 2,
        "linestyle": "none"}),)
    caption = ("Latency over rate, one concert, open loop, medians of the rounds, both axes "
               "logarithmic. Latency counts from the moment a request was planned for, so waiting "
               "in a queue is in it. The dotted line is the p99 above which a rate is not held; "
               "rates that were skipped have no point and stand in the table.")
    identity = "figure-hot-latency"
    chart = figure_lines.Chart(identity, "Lines: p50 and p99 over the planned rate for each "
                               "strategy. The table that follows has the numbers.",
                               tuple(panels), legend)
    return [Figure(identity, caption, figure_lines.draw(chart))]


def distribution(document, found, styles, identity, what):
    """Share of answers that came within a time, of each strategy's middle round."""
    lines, rows, shown = [], [], []
    for entry in found:
        measured = data.middle_round(document, entry, "p99_ms", "cdf")
        if not measured:
            continue
        points = [(ms, 100 * share) for ms, share in measured["cdf"] if ms > 0]
        lines.append(Line(tuple(points), line_look(styles[entry.subject])))
        rows += [(entry.title, number(ms, 3), f"{number(share, 3)}%") for ms, share in points]
        shown.append(entry)
    if not lines:
        return []
    panel = Panel("answers within so many ms, %", "ms from the planned start", tuple(lines),
                  x_is_log=True, y_top=102)
    chart = figure_lines.Chart(
        identity, f"Lines: distribution of latencies, {what}. The table below has the numbers.",
        (panel,), subject_legend(shown, styles))
    caption = (f"Distribution of latencies, {what}: of each strategy the round whose p99 is the "
               "middle one. Further left is quicker, steeper is steadier.")
    table = Table(f"Distribution of latencies, {what}", ("strategy", "ms", "share within"),
                  tuple(rows))
    return [Figure(identity, caption, figure_lines.draw(chart), (table,))]


def distributions(document, scenario, styles):
    """At the rate that most held; or of a closed loop, where it has one."""
    found = data.entries(document, scenario)
    what = "one concert at full load by 512 connections"
    if scenario == plan.HOT:
        rate = data.held_by_most(document, found)
        found = [entry for entry in found if rate is not None and entry.rate == rate]
        what = f"one concert at {rate:,} requests a second" if found else ""
    else:
        found = [entry for entry in found if entry.load == "512 connections"]
    return distribution(document, found, styles, f"figure-{scenario}-distribution", what)


def stacked(parts):
    """Bars one behind the other, each with a color and a hatch of its own."""
    bars, start = [], 0.0
    for place, value in enumerate(parts):
        if value:
            bars.append(Bar(value, SERIES[OUTCOMES[place]], start, hatch=HATCHES[place]))
            start += value
    return tuple(bars)


def outcome_legend(names):
    return tuple((name, {"facecolor": SERIES[OUTCOMES[place]], "hatch": HATCHES[place],
                         "edgecolor": PAPER, "linewidth": 0.5})
                 for place, name in enumerate(names))


def heading(load):
    match = data.OPEN_LOAD.fullmatch(load)
    return f"{int(match[1]):,} a second planned" if match else load


def outcomes(document, entry):
    """Of all planned requests: accepted, told that it is sold out, all others."""
    planned, *known = (data.median(document, entry, name)
                       for name in ("planned", "accepted", "sold_out"))
    if planned is None or None in known:
        return known
    return [*known, max(0, planned - sum(known))]


def sold_out(document, _styles):
    """`sellout`: what became of the requests, at each rate."""
    found = [entry for entry in data.entries(document, plan.SELLOUT)
             if data.median(document, entry, data.RATE) is not None]
    groups = []
    for load in data.loads(found):
        rows = []
        for entry in found:
            if entry.load == load:
                parts = outcomes(document, entry)
                texts = [number(part, 0) for part in parts if part is not None]
                rows.append(Row(entry.title, (
                    (stacked(parts), " + ".join(texts) + data.mark(document, entry)),)))
        groups.append((heading(load), tuple(rows)))
    if not groups:
        return []
    identity = "figure-sellout"
    chart = figure_rows.Chart(
        identity, "Stacked bars: how many requests were accepted, sold out, and all others. The "
        "table that follows has the rates.", ("requests: accepted + sold out + all others",),
        tuple(groups), outcome_legend(OUTCOME_NAMES))
    caption = ("What became of all planned requests for a concert with far fewer seats, medians of "
               "the rounds. The others were refused for another reason, or had no answer in time.")
    return [Figure(identity, caption, figure_rows.draw(chart))]


# --- over time ------------------------------------------------------------------------------------


def samples(document, scenario):
    """[(entry, its samples)]: of each case the round with the middle rate."""
    found = [(entry, data.middle_round(document, entry, data.RATE, "series"))
             for entry in data.entries(document, scenario)]
    return [(entry, measured["series"]) for entry, measured in found if measured]


def time_panel(found, styles, name, title):
    lines = [Line(tuple((row["t_s"], row.get(name)) for row in rows),
                  line_look(styles[entry.subject])) for entry, rows in found
             if any(row.get(name) is not None for row in rows)]
    highest = [max(y for _, y in line.points if y is not None) for line in lines]
    is_log = name == "memory_mib" and min(highest, default=0) > 0 and (
        max(highest) / min(highest) > LOG_FROM)
    return Panel(title + (" (logarithmic)" if is_log else ""), "seconds", tuple(lines),
                 y_is_log=is_log)


def over_time(document, scenario, styles):
    """CPU, memory, connections and backlog of those that have samples, for each load."""
    figures = []
    everything = samples(document, scenario)
    for place, load in enumerate(data.loads([entry for entry, _ in everything])):
        found = [(entry, rows) for entry, rows in everything if entry.load == load]
        panels = tuple(panel for name, title in SAMPLED
                       if (panel := time_panel(found, styles, name, title)).lines)
        if not panels:
            continue
        identity = f"figure-{scenario}-time-{place}"
        chart = figure_lines.Chart(
            identity, f"Lines over time in the scenario {scenario}, {load}: rates, CPU, memory and "
            "connections. The table below has the numbers.", panels,
            subject_legend([entry for entry, _ in found], styles))
        caption = (f"`{scenario}`, {load}, over time: of each the round with the middle rate. What "
                   "was not known at a moment leaves a gap.")
        figures.append(Figure(identity, caption, figure_lines.draw(chart),
                              (sample_table(found, f"`{scenario}`, {load}, over time"),)))
    return figures


def sample_table(found, title):
    names = [(name, text) for name, text in SAMPLED
             if any(row.get(name) is not None for _, rows in found for row in rows)]
    cells = tuple((entry.title, number(row["t_s"], 1), *(number(row.get(name)) for name, _ in names))
                  for entry, rows in found for row in rows)
    return Table(title, ("strategy", "s", *(text for _, text in names)), cells)


# --- isolation and deadlock -----------------------------------------------------------------------


def victims(document, styles):
    found = [entry for entry in data.entries(document, plan.ISOLATION)
             if data.spread(document, entry, "victims_failed")]
    if not found:
        return []
    groups = bar_groups(document, found, styles, ("victims_failed", "victims_slowest_ms"))
    identity = "figure-isolation"
    chart = figure_rows.Chart(
        identity, "Bars: reads that failed, and how long the slowest took, for each strategy. The "
        "table that follows has the numbers.",
        (f"reads that failed, of {isolation.VICTIM_COUNT}", "slowest read, ms"), groups)
    caption = (f"What {isolation.HOT_COUNT} who want one concert do to {isolation.VICTIM_COUNT} who "
               "only read members: medians of the rounds, whiskers from the least to the most.")
    return [Figure(identity, caption, figure_rows.draw(chart))]


DEADLOCK_PARTS = (("succeeded", "requests that succeeded"), ("rows", "rows in the database"),
                  ("seats_sold", "seats counted as sold"), ("failed", "requests that failed"),
                  ("deadlocks", "deadlocks"))


def deadlocks(document, styles):
    """Rows and seats that differ are updates that were lost."""
    found = [entry for entry in data.entries(document, plan.DEADLOCK)
             if data.spread(document, entry, "succeeded")]
    if not found:
        return []
    groups = tuple((entry.title, tuple(
        Row(text, (spread_bars(data.spread(document, entry, name), styles[entry.subject],
                               digits=0),))
        for name, text in DEADLOCK_PARTS)) for entry in found)
    identity = "figure-deadlock"
    chart = figure_rows.Chart(
        identity, "Bars: how many of 100 requests succeeded and failed, rows, seats and deadlocks. "
        "The table that follows has the numbers.", ("100 at once on 100 seats",), groups)
    caption = ("100 requests at once for 100 seats: medians of the rounds, whiskers from the least "
               "to the most. Rows, seats and requests that succeeded should be the same number.")
    return [Figure(identity, caption, figure_rows.draw(chart))]


# --- all of a scenario ----------------------------------------------------------------------------


def of_scenario(document, scenario, styles):
    """Its figures, in order; [] where there is nothing to draw."""
    figures = []
    if scenario == plan.HOT:
        figures += latency_over_rate(document, styles)
    elif scenario == plan.SELLOUT:
        figures += sold_out(document, styles)
    elif scenario == plan.ISOLATION:
        figures += victims(document, styles)
    elif scenario == plan.DEADLOCK:
        figures += deadlocks(document, styles)
    elif scenario in COMPARED:
        figures += comparisons(document, scenario, styles)
    figures += distributions(document, scenario, styles)
    return figures + over_time(document, scenario, styles)
