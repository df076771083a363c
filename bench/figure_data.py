"""Reads the JSON document of a run for what shows it: figures, tables and words. Needs the document
alone, so that it reads old ones too; what was not measured is None or not there."""

import dataclasses
import re

import report
import subjects as subjects_of
import summary

NO_MARK = ""
LIMITED_MARK = " ⚠"  # the generator may have been the limit
RATE = "requests_per_second"
OPEN_LOAD = re.compile(r"(\d+)/s")
CLOSED_HOT = "one"  # what older documents call `hot`, which was a closed loop there
# Where a subject is not called by its own title.
NAMES = {
    ("http", "resvd"): "resvd (answers at once)",
    ("http", "nginx"): "nginx, 1 worker",
    ("http", "nginx-auto"): "nginx, a worker a core",
    ("embedded", "resvd"): "resvd embedded",
    ("embedded", "resvd-single"): "resvd, one transaction a request",
    ("embedded", "nginx"): "nginx, 1 worker (stores nothing)",
    ("async", "nginx"): "nginx, 1 worker (stores nothing)",
    ("sqlite", "loop"): "raw loop",
    ("mariadb", "loop"): "raw loop",
}


@dataclasses.dataclass(frozen=True)
class Entry:
    """One case of the document."""

    key: str
    scenario: str
    load: str
    subject: str

    @property
    def title(self):
        return title_of(self.scenario, self.subject)

    @property
    def rate(self):
        """What an open loop planned a second; None where the load is another one."""
        match = OPEN_LOAD.fullmatch(self.load)
        return int(match[1]) if match else None


def title_of(scenario, subject):
    """For tables; of what an older or a newer document names its name."""
    if (scenario, subject) in NAMES:
        return NAMES[scenario, subject]
    known = {**subjects_of.PEERS, **subjects_of.BY_NAME}.get(subject)
    return known.title if known else subject


def entry_of(key):
    """A load may have a slash in it: rates have."""
    scenario, rest = key.split("/", 1)
    load, subject = rest.rsplit("/", 1)
    if scenario == "hot" and not OPEN_LOAD.fullmatch(load):
        scenario = CLOSED_HOT
    return Entry(key, scenario, load, subject)


def entries(document, scenario=None):
    """All cases in the order of the summary; then those that were never measured."""
    keys = dict.fromkeys(document["summary"])
    for entry in document["rounds"]:
        keys.update(dict.fromkeys(entry["measurements"]))
    found = [entry_of(key) for key in keys]
    return [entry for entry in found if scenario in (None, entry.scenario)]


def scenarios(document):
    """In the order of the document."""
    return list(dict.fromkeys(entry.scenario for entry in entries(document)))


def loads(found):
    return list(dict.fromkeys(entry.load for entry in found))


def in_rounds(document, entry):
    """What all rounds say of it: measurements, and why it was skipped."""
    found = (one["measurements"].get(entry.key) for one in document["rounds"])
    return [measured for measured in found if measured]


def measurements(document, entry):
    """Those of all rounds that there are."""
    return [found for found in in_rounds(document, entry) if "skipped" not in found]


def values(document, entry, name):
    """One for each round; None where it was not measured. `name` is the summary's."""
    return report.series(document["rounds"], entry.key, *report.SUMMARIZED.get(name, (name,)))


def spread(document, entry, name):
    """Median, quartiles and extremes over the rounds; None: there is nothing."""
    found = document["summary"].get(entry.key, {}).get(name)
    if isinstance(found, dict):
        return found
    known = [value for value in values(document, entry, name) if is_number(value)]
    return summary.spread(known)


def median(document, entry, name):
    found = spread(document, entry, name)
    return found["median"] if found else None


def total(document, entry, name):
    """Of a count over all rounds."""
    found = document["summary"].get(entry.key, {}).get(name)
    if is_number(found):
        return found
    known = [value for value in values(document, entry, name) if is_number(value)]
    return sum(known) if known else None


def comparisons(document):
    """All of them; the oldest documents left out what was the same in each."""
    for found in document.get("comparisons", []):
        yield {"field": RATE, "goal_is": "at least",
               "range_confidence": summary.confidence_of_range(found["ratio"]["count"]), **found}


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def mark(document, entry):
    """Whether the load generator may have been the limit, in any of the rounds."""
    limited = any(found.get("generator_limited") for found in measurements(document, entry))
    return LIMITED_MARK if limited else NO_MARK


def counted(values_by_round, name):
    """{"201": n, …} of all rounds together; {} where nothing was counted by status."""
    found = {}
    for measured in values_by_round:
        for status, count in (measured.get(name) or {}).items():
            found[status] = found.get(status, 0) + count
    return dict(sorted(found.items()))


# --- no ranking where spreads overlap -------------------------------------------------------------


def unranked(document, found, name):
    """Sets of cases, as large as can be, of which each two overlap: within them nothing is ranked.
    Spans that overlap pairwise have a point in common, and one of them begins there."""
    spreads = [(entry, one) for entry in found if (one := spread(document, entry, name))]
    sets = []
    for _, first in spreads:
        there = [entry for entry, one in spreads if one["min"] <= first["min"] <= one["max"]]
        if len(there) > 1 and there not in sets:
            sets.append(there)
    return [one for one in sets if not any(one != other and all(entry in other for entry in one)
                                           for other in sets)]


def unranked_text(sets):
    """"one / other; other / third": titles have commas of their own."""
    return "; ".join(" / ".join(entry.title for entry in one) for one in sets)


def rounds_of(document, found, name=RATE):
    """The fewest rounds that any of them was measured in."""
    counts = [one["count"] for entry in found if (one := spread(document, entry, name))]
    return min(counts, default=0)


def ranking_text(document, found, name, what):
    """A sentence on what may be ranked; "" where there is nothing to compare."""
    compared, texts = False, []
    for load in loads(found):
        same = [entry for entry in found if entry.load == load and spread(document, entry, name)]
        compared = compared or len(same) > 1
        sets = unranked(document, same, name)
        if sets:
            texts.append(f"{load}: {unranked_text(sets)}")
    if not compared:
        return ""
    if rounds_of(document, found, name) < 2:
        return f"{what}: a single round has no spread, so there is no ranking."
    if not texts:
        return f"{what}: no two spreads under the same load overlap."
    return f"{what}: spreads overlap, so there is no ranking within " + ". ".join(texts) + "."


# --- open loops -----------------------------------------------------------------------------------


def held_rounds(document, entry):
    """In how many rounds the strategy kept up, and of how many; a rate was skipped because it did
    not keep up with a lower one."""
    found = [measured["held"] for measured in in_rounds(document, entry)
             if measured.get("held") is not None]
    return sum(found), len(found)


def held_always(document, entry):
    held, count = held_rounds(document, entry)
    return count > 0 and held == count


def rates_of(found):
    return sorted({entry.rate for entry in found if entry.rate is not None})


def held_by_most(document, found):
    """The highest rate that more than half of the strategies held in every round, or else that the
    most did; None: no rate was held."""
    counts = {rate: sum(held_always(document, entry) for entry in found if entry.rate == rate)
              for rate in rates_of(found)}
    half = len({entry.subject for entry in found}) / 2
    enough = min(max(counts.values(), default=0), half + 0.5)
    return max((rate for rate, count in counts.items() if count and count >= enough), default=None)


def at_all_rates(found):
    """A case for each rate and strategy, also those that the document has no trace of."""
    there = {(entry.rate, entry.subject): entry for entry in found}
    subjects = list(dict.fromkeys(entry.subject for entry in found))
    scenario = found[0].scenario if found else ""
    return [there.get((rate, subject)) or Entry("", scenario, f"{rate}/s", subject)
            for rate in rates_of(found) for subject in subjects]


def middle_round(document, entry, name, wanted):
    """The measurement that has `wanted` and whose `name` is the middle one of the rounds."""
    found = [measured for measured in measurements(document, entry) if measured.get(wanted)]
    found.sort(key=lambda measured: measured.get(name) or 0)
    return found[(len(found) - 1) // 2] if found else None
