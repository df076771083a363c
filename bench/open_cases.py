"""The open loops as cases: a fresh server for each rate, and an audit of every id that was given."""

import shutil

import open_loop
import plan
import subjects as subjects_of

WARM_UP_RATE = 500  # a second: little of what can be sold


def measure(session, case):
    """Start, fill, warm up, measure, audit, stop; or why this rate is not measured in this round."""
    held = session.rates_held.setdefault((case.scenario, case.subject), {})
    skipped = open_loop.skipped(case.rate, held)
    if skipped and case.scenario == plan.HOT:
        return skipped
    subject = subjects_of.BY_NAME[case.subject]
    folder = session.new_folder("store")
    seats = (plan.SELLOUT_CAPACITY,) if case.scenario == plan.SELLOUT else ()  # else no end
    server = session.start_strategy(subject, folder, case.concerts, *seats)
    try:
        result = measure_on(session, server, case, subject, folder)
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    held[case.rate] = result["held"]
    return result


def measure_on(session, server, case, subject, folder):
    """All CPU is counted until the last row is there."""
    store = session.database() if "mariadb" in subject.services else None
    ids = folder / "ids"
    warm_up = load(session, server, case, WARM_UP_RATE, session.warm_up_seconds(subject), ids)
    settle(session, server, subject)
    unknown_before = open_loop.unknown_outcomes(warm_up)
    if case.scenario == plan.SELLOUT:  # all seats are there again
        session.reset(server, case.concerts, plan.SELLOUT_CAPACITY)
        ids, unknown_before = folder / "ids-sold", 0
    rows_before = sum(concert["live"] for concert in
                      server.admin_json("GET", "/admin/audit")["concerts"])
    if store:
        store.wait_until_quiet()
    cpu = server.cpu_seconds()
    found = load(session, server, case, case.rate, plan.open_seconds(session.seconds), ids)
    settle(session, server, subject)
    result = open_loop.measurement(found, server.cpu_seconds() - cpu)
    result["violations"] = session.audit(server, store, case, subject, rows_before, result)
    if not ids.exists():  # nothing was sold
        ids.touch()
    rows = (open_loop.ids_in_mariadb(store.server) if store
            else open_loop.ids_in_sqlite(folder / "resvd.db"))
    further = open_loop.audit_ids(result, ids, rows, unknown_before)
    if case.scenario == plan.SELLOUT:
        further += open_loop.sellout_violations(result, result["audit"], plan.SELLOUT_CAPACITY)
    session.violations += [f"{case.title}: {text}" for text in further]
    result["violations"] += further
    return result


def load(session, server, case, rate, seconds, ids):
    shape = {"connections": case.connections, "concerts": case.concerts,
             "member_first": plan.MEMBER_FIRST, "member_count": plan.MEMBER_COUNT}
    return open_loop.run(session.tools["open_loop"], server.url, shape, rate, seconds, ids)


def settle(session, server, subject):
    """Nothing is under way, and nothing waits for its row."""
    server.wait_until_idle()
    if subject.writes_behind:
        session.stock_and_log.wait_until_settled()
