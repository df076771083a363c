"""What a run says, in plain words: the beginning of the page. All numbers are the document's own."""

import figure_data as data
import plan
import subjects as subjects_of
from cells import number

VIOLATIONS_SHOWN = 4  # of a case that is known to have them
READING = (
    "Figures are medians of the rounds; beside them stands what the least and the most of the "
    "rounds were. Where the spreads of two overlap neither is ranked above the other.",
    "⚠ marks results that the load generator may have limited: it was busy for more than 80% of "
    "its time, later than planned, or within 80% of its own ceiling. The server may be quicker "
    "there.",
    "In an open loop requests come at a planned rate, whether or not the server keeps up, and "
    "latency counts from the planned moment. In a closed loop each connection waits for its answer "
    "before it asks again, so latencies are those at full load.",
)


def sentence_of_rates(document, found, name=data.RATE, unit="/s", what="p99_ms"):
    """The highest first, such as "grouped 38,355/s (p99 3.08 ms)"; and who must not be ranked."""
    known = [(data.median(document, entry, name), entry) for entry in found]
    known = sorted(((value, entry) for value, entry in known if value is not None),
                   key=lambda pair: -pair[0])
    texts = []
    for value, entry in known:
        latency = data.median(document, entry, what)
        texts.append(f"{entry.title} {number(value, 0)}{unit}"
                     + (f" (p99 {number(latency)} ms)" if latency is not None else "")
                     + data.mark(document, entry))
    if not texts:
        return ""
    text = "; ".join(texts) + "."
    compared = [entry for _, entry in known]
    sets = data.unranked(document, compared, name)
    if len(compared) > 1 and data.rounds_of(document, compared, name) < 2:
        text += " A single round: no ranking."
    elif sets:
        text += f" Spreads overlap, no ranking within {data.unranked_text(sets)}."
    return text


def sales_results(document, scenario):
    """A line for each load."""
    found = data.entries(document, scenario)
    for load in data.loads(found):
        text = sentence_of_rates(document, [entry for entry in found if entry.load == load])
        if text:
            yield f"{load}: {text}"


def hot_results(document):
    """The highest rate that each strategy held in every round; who held the highest of all may hold
    more."""
    found = data.entries(document, plan.HOT)
    highest = max(data.rates_of(found), default=0)
    texts = []
    for subject in dict.fromkeys(entry.subject for entry in found):
        own = [entry for entry in found if entry.subject == subject]
        held = [entry for entry in own if entry.rate and data.held_always(document, entry)]
        measured = [entry for entry in own if data.measurements(document, entry)]
        if not measured:
            continue
        if not held:
            texts.append(f"{own[0].title} held no rate")
            continue
        best = max(held, key=lambda entry: entry.rate)
        latency = number(data.median(document, best, "p99_ms"))
        top = ", the highest that was asked for" if best.rate == highest else ""
        texts.append(f"{best.title} {best.rate:,}/s (p99 {latency} ms{top})"
                     + data.mark(document, best))
    if texts:
        yield "Highest rate that was held in every round: " + "; ".join(texts) + "."


def sellout_results(document):
    """Whether all seats were sold, and no more."""
    left, oversold, audited = [], [], False
    for entry in data.entries(document, plan.SELLOUT):
        for measured in data.measurements(document, entry):
            for concert in (measured.get("audit") or {}).get("concerts", []):
                audited = True
                text = (f"{entry.title}, {entry.load}: {number(concert['sold'], 0)} of "
                        f"{number(concert['capacity'], 0)} seats")
                if concert["sold"] > concert["capacity"]:
                    oversold.append(text)
                elif concert["sold"] < concert["capacity"]:
                    left.append(text)
    if oversold:
        yield "More was sold than there is: " + "; ".join(dict.fromkeys(oversold)) + "."
    if left:
        yield ("Seats were left, which is right only where fewer were asked for: "
               + "; ".join(dict.fromkeys(left)) + ".")
    if audited and not oversold and not left:
        yield "Every run sold exactly its capacity."


def stampede_results(document):
    texts = []
    for entry in data.entries(document, plan.STAMPEDE):
        rate = data.median(document, entry, data.RATE)
        if rate is not None:
            errors = data.median(document, entry, "error_rate")
            texts.append(f"{entry.title} {number(rate, 0)}/s"
                         + (f", {number(100 * errors, 1)}% errors" if errors is not None else "")
                         + f", p95 {number(data.median(document, entry, 'p95_ms'))} ms"
                         + data.mark(document, entry))
    if texts:
        yield "; ".join(texts) + "."


def isolation_results(document):
    texts = []
    for entry in data.entries(document, plan.ISOLATION):
        failed = data.spread(document, entry, "victims_failed")
        if failed:
            texts.append(f"{entry.title}, {entry.load}: {number(failed['median'], 0)}")
    if texts:
        yield "Reads that failed beside a hot concert: " + "; ".join(texts) + "."


def deadlock_results(document):
    for entry in data.entries(document, plan.DEADLOCK):
        succeeded = data.median(document, entry, "succeeded")
        if succeeded is not None:
            rows, seats, count = (number(data.median(document, entry, name), 0) for name in (
                "rows", "seats_sold", "deadlocks"))
            yield (f"{entry.title}: {number(succeeded, 0)} succeeded, {rows} rows, "
                   f"{seats} seats counted as sold, {count} deadlocks.")


def drain_results(document):
    found = data.entries(document, plan.DRAIN)
    rates = [(entry.load, data.median(document, entry, "rows_per_second")) for entry in found]
    texts = [f"{load} {number(rate, 0)} rows/s" for load, rate in rates if rate is not None]
    if texts:
        yield "; ".join(texts) + "."


def backlog_results(document):
    """The consumers of resvd and of its peer, where nobody adds to the backlog."""
    found = [entry for entry in data.entries(document, plan.PEERS)
             if data.median(document, entry, data.RATE) is None]
    text = sentence_of_rates(document, found, "rows_per_second", " rows/s", "row_p99_ms")
    if text:
        yield f"The consumers alone: {text}"


SPECIAL = {
    plan.HOT: hot_results, plan.SELLOUT: sellout_results, plan.STAMPEDE: stampede_results,
    plan.ISOLATION: isolation_results, plan.DEADLOCK: deadlock_results, plan.DRAIN: drain_results,
}


def results(document):
    """(scenario, sentences) of each that there is something to say about."""
    for scenario in data.scenarios(document):
        make = SPECIAL.get(scenario, lambda whole, name=scenario: sales_results(whole, name))
        texts = list(make(document))
        if scenario == plan.PEERS:
            texts += backlog_results(document)
        if texts:
            yield scenario, texts


def missed_goals(document):
    """In words, those that were not reached."""
    for found in (*data.comparisons(document), *document.get("bounds", [])):
        if found.get("goal") is not None and not found["goal_reached"]:
            yield found


def known_violations(document):
    """{case's title: what its audits found} of strategies that are known to: they do not fail the
    run."""
    found = {}
    for entry in data.entries(document):
        known = {**subjects_of.PEERS, **subjects_of.BY_NAME}.get(entry.subject)
        for measured in data.measurements(document, entry):
            if known and known.oversells and measured.get("violations"):
                texts = found.setdefault(f"{entry.scenario}: {entry.title}, {entry.load}", {})
                texts.update(dict.fromkeys(measured["violations"]))
    return {title: shortened(list(texts)) for title, texts in found.items()}


def shortened(texts):
    """One line for each concert and round can be many."""
    if len(texts) <= VIOLATIONS_SHOWN:
        return texts
    return texts[:VIOLATIONS_SHOWN] + ["and more of this kind, which the JSON has"]


def was_audited(document):
    return any("audit" in measured for entry in data.entries(document)
               for measured in data.measurements(document, entry))


def machine_text(document):
    facts, parameters = document["facts"], document["parameters"]
    disk = facts["file_system"]
    done, wanted = parameters["rounds_done"], parameters["rounds"]
    rounds = f"{done} rounds" if done == wanted else f"{done} of {wanted} rounds"
    return (f"Commit {facts['commit']}"
            + ("" if facts["tree_is_clean"] else ", with changes that are not committed")
            + f", measured from {facts['date']} on. Machine: {facts['cpu']}, {facts['cores']} cores "
            f"and {number(facts['memory_mib'], 0)} MiB of memory, which servers and load generator "
            f"share; {facts['system']}, {facts['kernel']}. The data was on {disk['device']} "
            f"({disk['type']}), where 4 KiB are appended and synced in {facts['sync_us']:.0f} µs. "
            f"{rounds}, interleaved, {parameters['seconds']} s a measurement.")
