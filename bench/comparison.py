"""Two results side by side: for every measurement that both have, the ratio of the second to the
first, with an interval that says how sure it is. ./dev bench --compare A.json B.json calls this.

Intervals come from ranks, so nothing is assumed about how rounds scatter: for two runs taken at
different times from the ranks of all values (Mann-Whitney, the estimate is Hodges and Lehmann's, on
logarithms), for two builds measured in turns in one run from the rounds' own ratios (sign test).
Both are exact for few rounds. What an interval does not show is not ranked.
"""

import dataclasses
import json
import math
import pathlib
import sys
from collections import Counter

import cells
import plan
import report
import summary

EXIT_OK = 0
EXIT_BAD_INPUT = 65
CONFIDENCE = 0.95  # what intervals are to have, where there are rounds enough
RANKED_FROM = 0.9  # an interval that is less sure ranks nothing: 5 pairs have 94%, 3 against 3 90%
SCHEMA_LAST = 4
RENAMED_SCENARIOS = {"hot": "one"}  # up to schema 3, as they are called since
# What may differ between two runs that can be compared; all other facts are named if they do.
FACTS_LEFT_OUT = {"date", "commit", "tree_is_clean", "tree_digest", "sync_us", "interruptions"}
PARAMETERS_NAMED = ("seconds", "threads", "config_digest")
MEMORY_TOLERANCE = 0.02  # the kernel keeps a little more or less of it for itself
SYNC_TOLERANCE = 1.5  # what a disk's sync takes is never twice the same


class Unreadable(Exception):
    """Its text is for the reader as it stands."""


@dataclasses.dataclass(frozen=True)
class Field:
    """What is compared: the first of `names` that stands in a measurement."""

    title: str
    names: tuple
    digits: int | None
    more: str  # the verdict when it has grown
    less: str
    more_is_better: bool = False
    names_in: dict = dataclasses.field(default_factory=dict)  # scenarios where it is others

    def names_of(self, key):
        return self.names_in.get(key.split("/")[0], self.names)


FIELDS = (
    # The stampede's requests are all answers, refusals too.
    Field("rate /s", ("requests_per_second", "rows_per_second"), 0, "faster", "slower", True,
          {plan.STAMPEDE: ("granted_per_second",)}),
    Field("p99 ms", ("p99_ms",), 2, "slower", "faster"),
    Field("CPU s per 1,000", ("server_cpu_seconds_per_1000", "cpu_seconds_per_1000"), 4,
          "more CPU", "less CPU"),
)

# --- statistics -----------------------------------------------------------------------------------


def rank_sum_weights(count, other_count):
    """In how many of all orders of so many values, all equally likely, Mann-Whitney's U is 0, 1, …

    They are the coefficients of the Gaussian binomial: the product over i of
    (1 - x^(other_count + i)) / (1 - x^i).
    """
    weights = [1] + [0] * (count * other_count)
    for i in range(1, count + 1):
        for u in range(len(weights) - 1, other_count + i - 1, -1):
            weights[u] -= weights[u - other_count - i]
        for u in range(i, len(weights)):
            weights[u] += weights[u - i]
    return weights


def sign_weights(count):
    """The same of so many pairs, for how many of them lie below the true ratio."""
    return [math.comb(count, below) for below in range(count + 1)]


def interval(ordered, weights):
    """(low, high, confidence): the innermost values, as many in from each end, that hold the true
    one with CONFIDENCE; the extremes where there are too few, with the confidence they have."""
    total, left_out = sum(weights), 0
    depth, sure = 1, 1 - 2 * weights[0] / total
    for position, weight in enumerate(weights, 1):
        left_out += weight
        if 1 - 2 * left_out / total < CONFIDENCE:
            break
        depth, sure = position, 1 - 2 * left_out / total
    return ordered[depth - 1], ordered[-depth], sure


def ratio_of(logs, weights):
    """Of logarithms of ratios."""
    logs = sorted(logs)
    low, high, sure = interval(logs, weights)
    return {"ratio": math.exp(summary.quantile(logs, 0.5)), "low": math.exp(low),
            "high": math.exp(high), "confidence": sure}


def unpaired_ratio(before, now):
    """Of two runs' values, all above 0: the median of all ratios of one to one, and what the ranks
    say."""
    logs = [math.log(ours) - math.log(theirs) for ours in now for theirs in before]
    return ratio_of(logs, rank_sum_weights(len(before), len(now)))


def paired_ratio(before, now):
    """Of values above 0 that stand beside each other in one run's rounds."""
    logs = [math.log(ours) - math.log(theirs) for theirs, ours in zip(before, now, strict=True)]
    return ratio_of(logs, sign_weights(len(logs)))


def verdict_of(found, field):
    """What the interval says, as a word for programs and as words for the reader."""
    if found["confidence"] < RANKED_FROM:
        return "unknown", "too few rounds to tell"
    if found["low"] <= 1 <= found["high"]:
        return "none", "no difference shown"
    is_more = found["low"] > 1
    return ("better" if is_more is field.more_is_better else "worse",
            field.more if is_more else field.less)


# --- reading --------------------------------------------------------------------------------------


def read(path):
    """A result of ./dev bench; raises Unreadable with what is wrong with it."""
    try:
        document = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Unreadable(f"{path}: not UTF-8 at byte {error.start}") from error
    except ValueError as error:
        raise Unreadable(f"{path}: not JSON: {error}") from error
    except RecursionError as error:
        raise Unreadable(f"{path}: nested too deeply") from error
    wrong = what_is_wrong(document)
    if wrong:
        raise Unreadable(f"{path}: {wrong}")
    rename_scenarios(document)
    return document


def what_is_wrong(document):
    """In words, or None."""
    if not isinstance(document, dict):
        return "not a result of ./dev bench: no object"
    if "unfinished" in document:
        return "the state of an unfinished run, no result; ./dev bench --resume ends it"
    if document.get("kind") == "against":
        return "a result of --against: it holds its comparison"
    schema = document.get("schema")
    if type(schema) is not int or not 1 <= schema <= SCHEMA_LAST:
        return f"\"schema\" is {json.dumps(schema)}, and 1 to {SCHEMA_LAST} are known"
    for name, kind, text in (("facts", dict, "object"), ("parameters", dict, "object"),
                             ("rounds", list, "array")):
        if not isinstance(document.get(name), kind):
            return f"\"{name}\" is not there or no {text}"
    for name in ("warnings", "violations"):
        if not isinstance(document.get(name, []), list):
            return f"\"{name}\" is no array"
    for position, entry in enumerate(document["rounds"], 1):
        if not isinstance(entry, dict) or not isinstance(entry.get("measurements"), dict):
            return f"round {position} has no \"measurements\""
        for key, measurement in entry["measurements"].items():
            wrong = wrong_in_measurement(key, measurement)
            if wrong:
                return f"round {position}, \"{key}\": {wrong}"
    return None


def wrong_in_measurement(key, measurement):
    if measurement is None:
        return None
    if not isinstance(measurement, dict):
        return "no object"
    for field in FIELDS:
        for name in field.names_of(key):
            value = measurement.get(name)
            if value is None:
                continue
            if type(value) not in (int, float) or not 0 <= value <= sys.float_info.max:
                return f"{name} is {json.dumps(value)}, no number of 0 or more"
    return None


def rename_scenarios(document):
    """Measurements of older results get the keys that they have since."""
    if document["schema"] >= 4:
        return
    for entry in document["rounds"]:
        renamed = {}
        for key, measurement in entry["measurements"].items():
            scenario, _, rest = key.partition("/")
            renamed[f"{RENAMED_SCENARIOS.get(scenario, scenario)}/{rest}"] = measurement
        entry["measurements"] = renamed


# --- what both runs rest on -----------------------------------------------------------------------


def flat(value, name=""):
    """Nested facts by dotted names."""
    if isinstance(value, dict):
        found = {}
        for key, inner in value.items():
            found.update(flat(inner, f"{name}.{key}" if name else key))
        return found
    return {name: value}


def facts_of(document_facts, left_out):
    """All that is known, by name; the lines of resvd --version behind the first have names too."""
    facts = {name: value for name, value in document_facts.items() if name not in left_out}
    lines = facts.pop("resvd", None)
    if isinstance(lines, list):
        facts.update(str(line).split(": ", 1) for line in lines[1:] if ": " in str(line))
    return {name: value for name, value in flat(facts).items() if value is not None}


def differing(ours, theirs):
    """(name, one, other) of all that both say and that is not the same."""
    return [(name, ours[name], theirs[name]) for name in ours
            if name in theirs and not is_same(name, ours[name], theirs[name])]


def is_same(name, one, other):
    if name == "memory_mib" and isinstance(one, int) and isinstance(other, int):
        return abs(one - other) <= MEMORY_TOLERANCE * max(one, other)
    return one == other


def text_of(value):
    text = value if isinstance(value, str) else json.dumps(value)
    return text[:12] if len(text) == 64 and " " not in text else text  # a digest


def condition_warnings(before, now, labels):
    """What may make the ratio another than that of the two builds."""
    one, other = (facts_of(document["facts"], FACTS_LEFT_OUT) for document in (before, now))
    for name in PARAMETERS_NAMED:
        for rests_on, document in ((one, before), (other, now)):
            if document["parameters"].get(name) is not None:
                rests_on[name] = document["parameters"][name]
    found = [f"{name.replace('_', ' ')} differs: {labels[0]} has {text_of(ours)}, {labels[1]} has "
             f"{text_of(theirs)}" for name, ours, theirs in differing(one, other)]
    syncs = [document["facts"].get("sync_us") for document in (before, now)]
    known = all(isinstance(value, (int, float)) for value in syncs)
    if known and max(syncs) > SYNC_TOLERANCE * min(syncs):
        found.append(f"the disk was not as quick: 4 KiB synced in {syncs[0]:.0f} µs in {labels[0]},"
                     f" in {syncs[1]:.0f} µs in {labels[1]}")
    return found


def own_warnings(document, label):
    found = [f"{label}: {text}" for text in document.get("warnings") or []]
    violations = document.get("violations") or []
    if violations:
        found.append(f"{label} failed its audit: {violations[0]}"
                     + (f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""))
    return found


# --- comparing ------------------------------------------------------------------------------------


def keys_of(document):
    """Of all that was measured in some round, in order."""
    return list(dict.fromkeys(key for entry in document["rounds"]
                              for key, measurement in entry["measurements"].items() if measurement))


def is_paired(before, now):
    """Whether both were measured in turns in one run."""
    run = before["parameters"].get("interleaved_run")
    return run is not None and run == now["parameters"].get("interleaved_run")


def values_of(before, now, key, field):
    """The field's values of each round in both, under the first name that both have; with one that
    only one of them has, where there is no better."""
    all_series = [[report.series(document["rounds"], key, name) for document in (before, now)]
                  for name in field.names_of(key)]
    known = [[any(value is not None for value in values) for values in pair]
             for pair in all_series]
    for wanted in (all, any):
        for pair, is_known in zip(all_series, known):
            if wanted(is_known):
                return pair
    return None


def compare_field(before, now, key, field, labels):
    """One line, or None where neither has the field."""
    values = values_of(before, now, key, field)
    if values is None:
        return None
    paired = is_paired(before, now)
    if paired:  # a round that one of them lacks has no ratio
        pairs = [pair for pair in zip(*values) if None not in pair]
        values = [list(side) for side in zip(*pairs)] or [[], []]
    values = [[value for value in side if value is not None] for side in values]
    line = {"key": key, "field": field.title, "rounds": [len(side) for side in values],
            "medians": [summary.quantile(side, 0.5) for side in values],
            "generator_limited": any(value for document in (before, now) for value in
                                     report.series(document["rounds"], key, "generator_limited"))}
    for label, side in zip(labels, values):
        if not side or min(side) == 0:
            why = f"a round of 0 in {label}" if side else f"no value in {label}"
            return {**line, "verdict": "unknown", "text": f"not comparable: {why}"}
    found = (paired_ratio if paired else unpaired_ratio)(*values)
    verdict, text = verdict_of(found, field)
    return {**line, **found, "verdict": verdict, "text": text}


def compare(before, now, labels=("A", "B")):
    """All that can be said, as one JSON document."""
    ours, theirs = keys_of(now), keys_of(before)
    shared = [key for key in theirs if key in ours]
    warnings = condition_warnings(before, now, labels)
    for document, label in ((before, labels[0]), (now, labels[1])):
        warnings += own_warnings(document, label)
    for label, keys, others in ((labels[0], theirs, ours), (labels[1], ours, theirs)):
        alone = Counter(key.split("/")[0] for key in keys if key not in others)
        if alone:
            warnings.append(f"only in {label}: " + ", ".join(
                f"{count} of {scenario}" for scenario, count in alone.items()))
    if not shared:
        warnings.append("no measurement is in both")
    lines = [compare_field(before, now, key, field, labels) for key in shared for field in FIELDS]
    return {
        "kind": "comparison",
        "labels": list(labels),
        "paired": is_paired(before, now),
        "runs": [{"commit": document["facts"].get("commit"), "date": document["facts"].get("date")}
                 for document in (before, now)],
        "warnings": warnings,
        "lines": [line for line in lines if line],
    }


# --- what the reader gets -------------------------------------------------------------------------


def explanation(document):
    """How to read the table, in words."""
    first, second = document["labels"]
    lines = [f"Ratio: {second} to {first}."]
    if document["paired"]:
        lines += ["Both were measured in turns in one run. The ratio is taken in each round; shown",
                  "is the rounds' median, and the interval is that of the sign test."]
    else:
        lines += [f"Shown is the median of all ratios of a round of {second} to a round of {first}",
                  "(Hodges-Lehmann, on logarithms), and the interval that the values' ranks give",
                  "(Mann-Whitney). The runs were taken at different times: what changed on the",
                  "machine meanwhile is in the ratio too."]
    lines += ["The interval holds the true ratio with the confidence beside it, with few rounds",
              "too, as far as rounds do not depend on each other. Where it includes 1, or its",
              f"confidence is below {100 * RANKED_FROM:.0f}%, nothing is ranked."]
    if any(line["key"].startswith(f"{plan.STAMPEDE}/") for line in document["lines"]):
        lines.append(f"The rate of `{plan.STAMPEDE}` is what was granted.")
    ranked = [line for line in document["lines"] if line.get("confidence", 0) >= RANKED_FROM]
    chance = sum(1 - line["confidence"] for line in ranked)
    if ranked:
        lines.append(f"By chance alone {chance:.1f} of these {len(ranked)} lines, on average, would"
                     " show a difference where none is.")
    if any(line["generator_limited"] for line in document["lines"]):
        lines.append("⚠: the load generator, not the server, may have been the limit.")
    return " ".join(" ".join(lines).split())


def rows_of(document):
    digits = {field.title: field.digits for field in FIELDS}
    for line in document["lines"]:
        medians = [cells.number(value, digits[line["field"]]) for value in line["medians"]]
        ratio, around, sure = "–", "–", "–"
        if "ratio" in line:
            ratio = cells.number(line["ratio"], 3)
            around = f"{cells.number(line['low'], 3)}–{cells.number(line['high'], 3)}"
            sure = f"{100 * line['confidence']:.1f}%"
        rounds = line["rounds"]
        yield [line["key"], line["field"], *medians, ratio, around, sure,
               str(rounds[0]) if document["paired"] else f"{rounds[0]} : {rounds[1]}",
               line["text"] + (" ⚠" if line["generator_limited"] else "")]


def markdown(document):
    labels = document["labels"]
    title = "two builds, measured in turns" if document["paired"] else "two runs compared"
    lines = [f"# resvd: {title}", ""]
    for label, run in zip(labels, document["runs"]):
        lines.append(f"- {label}: commit {run['commit'] or '?'}, {run['date'] or '?'}"
                     + (f", {run['path']}" if "path" in run else ""))
    lines.append("")
    if document["warnings"]:
        lines += [f"- **{text}**" for text in document["warnings"]] + [""]
    rows = list(rows_of(document))
    if rows:
        lines += cells.table(
            ["measurement", "of", *(f"median {label}" for label in labels), "ratio", "interval",
             "confidence", "rounds", "says"], rows)
        lines += [explanation(document), ""]
    return "\n".join(lines)


def main(before_path, now_path, out=None):
    """Prints the table; `out`, a folder, gets the same as JSON. Differences are no failure: 0, or
    65 when a file cannot be read."""
    try:
        before, now = read(before_path), read(now_path)
    except Unreadable as error:
        print(f"bench: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    document = compare(before, now)
    for run, path in zip(document["runs"], (before_path, now_path)):
        run["path"] = str(path)
    sys.stdout.write(markdown(document))
    if out:
        stems = [pathlib.Path(path).stem for path in (now_path, before_path)]
        path = pathlib.Path(out) / f"{stems[0]}-compared-with-{stems[1]}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=1) + "\n")
        print(f"written: {path}", file=sys.stderr)
    return EXIT_OK
