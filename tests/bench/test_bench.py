"""The benchmark's pure parts: statistics, wrk's result, audit bounds, order of rounds, report."""

import json
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))

import cells
import database
import facts
import goals
import isolation
import load
import lock_nodes
import plan
import progress
import report
import servers
import session
import subjects
import summary
import tables

RESULT = {
    "requests": 1000, "duration_us": 2_000_000, "bytes": 5000, "connect": 0, "read": 0,
    "write": 0, "status": 0, "timeout": 0, "p50_us": 1500, "p90_us": 2000, "p95_us": 3000,
    "p99_us": 4000, "max_us": 9000,
}


# --- statistics -----------------------------------------------------------------------------------


@pytest.mark.parametrize("values, fraction, wanted", [
    ([7], 0.5, 7),
    ([3, 1, 2], 0.5, 2),
    ([4, 1, 3, 2], 0.5, 2.5),
    ([4, 1, 3, 2], 0.25, 1.75),
    ([1, 2, 3, 4, 5], 0.75, 4),
    ([5, 1], 0.0, 1),
    ([5, 1], 1.0, 5),
])
def test_quantile(values, fraction, wanted):
    assert summary.quantile(values, fraction) == pytest.approx(wanted)


def test_quantile_of_nothing():
    assert summary.quantile([], 0.5) is None


def test_spread_leaves_out_what_was_not_measured():
    found = summary.spread([None, 10, 30, None, 20])
    assert (found["min"], found["median"], found["max"], found["count"]) == (10, 20, 30, 3)
    assert summary.spread([None, None]) is None


def test_ratio_is_taken_in_each_round_before_the_median():
    # The machine was half as quick in the second round: the ratio does not see it.
    found = summary.ratios([100, 50, 90], [200, 100, 60])
    assert found == pytest.approx([0.5, 0.5, 1.5])
    assert summary.spread(found)["median"] == 0.5


def test_ratio_needs_both_of_a_round():
    assert summary.ratios([None, 10, 10, 10], [5, None, 0, 5]) == [2]


def test_overlap():
    def extremes(low, high):
        return {"min": low, "max": high}

    assert summary.overlap(extremes(1, 3), extremes(3, 5))
    assert summary.overlap(extremes(1, 9), extremes(3, 5))
    assert not summary.overlap(extremes(1, 2), extremes(3, 5))
    assert not summary.overlap(extremes(6, 7), extremes(3, 5))


# --- audit ----------------------------------------------------------------------------------------


def audit_of(sold, live=None, capacity=1000, consistent=True):
    live = sold if live is None else live
    return {"consistent": consistent,
            "concerts": [{"id": 1, "capacity": capacity, "sold": sold, "live": live}]}


def counts(requests, **others):
    return {**RESULT, "requests": requests, **others}


def test_row_bounds():
    assert summary.row_bounds(100, 8, 1) == (100, 108)
    assert summary.row_bounds(100, 8, 16) == (100, 228)
    assert summary.row_bounds(100, 8, 16, broken_connections=2) == (100, 260)


@pytest.mark.parametrize("rows", [100, 104, 108])
def test_rows_within_bounds(rows):
    assert summary.audit_violations(audit_of(50 + rows), 50, counts(100), 8, 1) == []


def test_a_row_fewer_than_answers_is_lost():
    violations = summary.audit_violations(audit_of(149), 50, counts(100), 8, 1)
    assert len(violations) == 1 and violations[0].startswith("lost")


def test_a_row_more_than_could_be_sold_is_a_phantom():
    violations = summary.audit_violations(audit_of(159), 50, counts(100), 8, 1)
    assert len(violations) == 1 and violations[0].startswith("phantom")


def test_a_broken_connection_explains_a_row():
    assert summary.audit_violations(audit_of(159), 50, counts(100, read=1), 8, 1) == []


def test_refusals_are_no_rows():
    assert summary.audit_violations(audit_of(60), 0, counts(100, status=40), 8, 1) == []
    violations = summary.audit_violations(audit_of(100), 0, counts(100, status=40), 8, 1)
    assert violations[0].startswith("phantom")


def test_oversold():
    violations = summary.audit_violations(audit_of(108, capacity=107), 0, counts(100), 8, 1)
    assert any("oversold: 108 of 107" in text for text in violations)


def test_sold_must_be_live_rows():
    violations = summary.audit_violations(audit_of(105, live=104), 0, counts(100), 8, 1)
    assert violations == ["concert 1: sold is 105 but its rows have 104 seats"]


def test_the_audits_own_judgement_counts():
    assert summary.audit_violations(audit_of(100, consistent=False), 0, counts(100), 8, 1)
    assert summary.audit_violations({"concerts": []}, 0, counts(0), 1, 1)


def test_the_two_audits_must_say_the_same():
    assert summary.audit_differences(audit_of(5), audit_of(5)) == []
    assert "differs" in summary.audit_differences(audit_of(5), audit_of(6))[0]
    assert summary.audit_differences(audit_of(5), {"concerts": []})
    assert summary.audit_differences({"concerts": []}, audit_of(5))


def test_audit_of_the_tables():
    found = database.audit_of_rows([["1", "100", "7", "7"], ["2", "100", "0", "0.0"]])
    assert found["consistent"]
    assert found["concerts"][0] == {"id": 1, "capacity": 100, "sold": 7, "live": 7}
    assert not database.audit_of_rows([["1", "100", "7", "6"]])["consistent"]
    assert not database.audit_of_rows([["1", "6", "7", "7"]])["consistent"]


def test_work_of_the_database():
    rows = [["Com_commit", "100"], ["Innodb_data_fsyncs", "40"], ["Uptime", "5"],
            ["Innodb_deadlocks", ""]]
    before = database.counters_of(rows)
    assert before == {"commits": 100, "syncs": 40}
    done = database.work_done(before, {"commits": 150, "syncs": 60}, 0.5, 1000, 2.0)
    assert done["reservations_per_commit"] == 20 and done["commits_per_second"] == 25
    assert done["syncs_per_second"] == 10 and done["cpu_seconds_per_1000"] == pytest.approx(0.5)
    nothing = database.work_done(before, before, 0.1, 0, 1.0)
    assert nothing["cpu_seconds_per_1000"] is None and nothing["reservations_per_commit"] is None


def test_work_of_the_lock_nodes():
    info = lock_nodes.parse_info("# Stats\r\ntotal_commands_processed:12\r\nname:a:b\r\n")
    assert info == {"total_commands_processed": "12", "name": "a:b"}
    done = lock_nodes.work_done(6000, 0.5, 2000)
    assert done["commands_per_reservation"] == 3
    assert done["cpu_seconds_per_1000"] == pytest.approx(0.25)
    assert set(lock_nodes.work_done(9, 0.5, 0).values()) == {None}


# --- isolation ------------------------------------------------------------------------------------


def test_isolation_counts_failed_reads_and_what_was_sold():
    hot = [201] * 4 + [409] * 20 + [503] * 5 + [500]
    found = isolation.measurement(hot, [200] * 7 + [503, 503, 504], 0.25)
    assert found["victims_failed"] == 3 and found["victims_slowest_ms"] == 250
    assert found["hot_granted"] == 4
    assert found["hot_statuses"] == {"201": 4, "409": 20, "500": 1, "503": 5}
    # For the audit: four rows, or five as one outcome is not known; not three and not six.
    for rows, is_fine in ((3, False), (4, True), (5, True), (6, False)):
        assert bool(summary.audit_violations(
            audit_of(rows), 0, found["counts"], found["unknown"], 1)) is not is_fine


def test_isolation_has_the_studys_pool():
    options = isolation.resvd_options("redlock", 0)
    assert options["database.pool_max"] == options["database.pool_min"] == "10"
    assert options["database.pool_wait_ms"] == "250" and options["database.catalog_pool"] == "0"
    assert int(options["strategy.redlock.hold_ms"]) > 250  # else nobody waits in vain


# --- stores ---------------------------------------------------------------------------------------


def test_the_stores_of_two_raw_loops_do_not_meet(tmp_path, monkeypatch):
    class Stopped:
        def stop(self):
            pass

    def start(subject, folder, *_, **__):
        (folder / "resvd.db").touch()
        return Stopped()

    opened = session.Session({}, tmp_path, 1, 1)
    monkeypatch.setattr(opened, "start_strategy", start)
    monkeypatch.setattr(opened, "database", lambda: None)
    opened.make_template()
    opened.make_database_template()
    assert opened.template.is_file()
    opened.close()


# --- wrk ------------------------------------------------------------------------------------------


def wrk_text(**changes):
    return ("Running 1s test @ http://127.0.0.1:1/\nRequests/sec:  1.00\n"
            "RESULT " + json.dumps({**RESULT, **changes}) + "\n")


def test_parse_wrk():
    assert load.parse_wrk(wrk_text()) == RESULT


@pytest.mark.parametrize("text", [
    "", "unable to connect to 127.0.0.1:1 Connection refused\n", wrk_text() + wrk_text(),
    "RESULT {\n", "RESULT {}\n", wrk_text(requests=-1), wrk_text(requests=None),
    wrk_text(duration_us=0), wrk_text(status=1001),
])
def test_parse_wrk_refuses(text):
    with pytest.raises(load.LoadError):
        load.parse_wrk(text)


def test_measurement():
    found = load.measurement(counts(1000, status=200), wrk_cpu_seconds=1.0,
                             server_cpu_seconds=1.6, depth=1, threads=1)
    assert found["requests_per_second"] == 400  # refusals are not answers wanted
    assert found["server_cpu_seconds_per_1000"] == pytest.approx(2.0)
    assert found["server_cpu_cores"] == pytest.approx(0.8)
    assert found["p99_ms"] == 4 and found["refused"] == 200
    assert found["generator_busy"] == 0.5 and not found["generator_limited"]


def test_measurement_marks_a_busy_generator():
    assert load.measurement(RESULT, 1.6, 1.0, 1, threads=1)["generator_limited"]
    assert not load.measurement(RESULT, 1.6, 1.0, 1, threads=2)["generator_limited"]


def test_measurement_has_no_latency_with_pipelining_or_without_answers():
    assert load.measurement(RESULT, 1.0, 1.0, 16, 1)["p50_ms"] is None
    nothing = load.measurement(counts(0), 0.1, 0.1, 1, 1)
    assert nothing["p50_ms"] is None and nothing["server_cpu_seconds_per_1000"] is None
    assert nothing["requests_per_second"] == 0


def test_wrk_command_has_no_more_threads_than_connections():
    shape = {"connections": 2, "depth": 1, "member_first": 1000, "member_count": 9, "concerts": 10}
    command = load.wrk_command("wrk", "http://x/", shape, 3, 8)
    assert command[1:4] == ["-t2", "-c2", "-d3s"] and command[-4:] == ["1", "1000", "9", "10"]


# --- what is read from the system and from resvd --------------------------------------------------


def test_cpu_ticks_with_a_name_of_brackets_and_blanks():
    stat = "42 (a) b (c) S 7 42 42 0 -1 4194560 1 2 3 4 250 50 0 0 20 0 3 0 100 1 2"
    assert servers.cpu_ticks(stat) == 300
    assert servers.parent_of(stat) == 7


def test_parse_metrics():
    text = ("# HELP a_total x\n# TYPE a_total counter\na_total 3\n"
            'b_bucket{le="+Inf",route="/x y"} 2.5e+03\nc{x="1"} 4 1700000000\nnot a sample here\n')
    assert servers.parse_metrics(text) == {
        "a_total": 3, 'b_bucket{le="+Inf",route="/x y"}': 2500, 'c{x="1"}': 4}


def test_batch_sizes_between_two_readings():
    def reading(operations, transactions, seconds):
        return {'resvd_embedded_batch_operations_sum{strategy="embedded"}': operations,
                'resvd_embedded_batch_operations_count{strategy="embedded"}': transactions,
                'resvd_embedded_commit_seconds_sum{strategy="embedded"}': seconds}

    embedded = subjects.BY_NAME["embedded"]
    found = session.batch_sizes(reading(100, 10, 1), reading(400, 20, 1.5), embedded)
    assert found["transactions"] == 10 and found["mean"] == 30
    assert found["commit_ms"] == pytest.approx(50)
    assert session.batch_sizes({}, {}, embedded)["mean"] is None
    # One without such a metric says nothing, whatever else there is to read.
    assert session.batch_sizes(reading(100, 10, 1), reading(400, 20, 1.5),
                               subjects.BY_NAME["naive"]) == {
        "transactions": 0, "mean": None, "commit_ms": None}


def test_file_system_of_takes_the_innermost_mount(tmp_path):
    mounts = f"/dev/a / ext4 rw 0 0\ntmpfs {tmp_path} tmpfs rw 0 0\n/dev/b {tmp_path}x xfs rw 0 0\n"
    assert facts.file_system_of(tmp_path / "in", mounts)["type"] == "tmpfs"
    assert facts.file_system_of("/usr", mounts) == {
        "mount": "/", "device": "/dev/a", "type": "ext4"}


def test_warnings():
    fine = {"file_system": {"type": "ext4"}, "build": {"b_sanitize": "none", "optimization": "2"},
            "tree_is_clean": True}
    assert facts.warnings_of(fine) == []
    bad = {"file_system": {"type": "tmpfs"}, "tree_is_clean": False,
           "build": {"b_sanitize": "address,undefined", "optimization": "0"}}
    assert len(facts.warnings_of(bad)) == 4


def test_warnings_about_the_database():
    durable = {"innodb_flush_log_at_trx_commit": "1", "log_bin": "OFF"}
    assert facts.database_warnings(None) == [] and facts.database_warnings(durable) == []
    assert len(facts.database_warnings(
        {"innodb_flush_log_at_trx_commit": "2", "log_bin": "ON"})) == 2


def test_config_digest_sees_every_part():
    assert facts.config_digest({"a": 1, "b": 2}, 3) == facts.config_digest({"b": 2, "a": 1}, 3)
    assert facts.config_digest({"a": 1}, 3) != facts.config_digest({"a": 1}, 4)


# --- plan -----------------------------------------------------------------------------------------


def test_cases_are_all_different():
    cases = plan.make_cases(["http", "embedded", "sqlite"])
    assert len({case.key for case in cases}) == len(cases) == 9 + 6 + 10


def test_sqlite_alone_brings_embedded_along_without_nginx():
    subjects = {(case.scenario, case.subject) for case in plan.make_cases(["sqlite"])}
    assert subjects == {("embedded", "resvd"), ("embedded", "resvd-single"), ("sqlite", "loop")}


def test_every_other_round_runs_backwards():
    cases = plan.make_cases(["http", "sqlite"])
    first, second = plan.order_of_round(cases, 0), plan.order_of_round(cases, 1)
    assert set(first) == set(second) == set(cases)
    steady = len(cases) - 2
    assert first[:steady] == second[:steady][::-1]
    for order in (first, second):  # these need the round's own batch sizes
        assert [case.rows for case in order[steady:]] == [0, 0]


def test_strategies_are_chosen_by_name_or_by_strategy():
    def names(*words):
        return [subject.name for subject in subjects.select(words)]

    assert names("pessimistic") == ["pessimistic-statements", "pessimistic-procedure"]
    assert names("grouped", "pessimistic-procedure") == ["pessimistic-procedure", "grouped"]
    assert names("naive") == ["naive"]
    assert names("redlock") == ["redlock-n1", "redlock-n3", "redlock-n1-handoff16"]
    assert "naive" not in names() and "grouped" in names()
    assert names("embedded") == ["embedded"]  # not the one that has batches of one
    assert names("grouped", "peer-lock-fair") == ["grouped"]  # a peer is none of resvd's
    assert subjects.named(["redlock", "peer-lock-fair"]) == {
        "redlock-n1", "redlock-n3", "redlock-n1-handoff16", "peer-lock-fair"}
    with pytest.raises(subjects.UnknownStrategy, match="groupd.*known:.*grouped.*peer-lock-fair"):
        subjects.select(["groupd"])


def test_strategies_that_the_binary_lacks_are_left_out():
    listing = ("embedded     one machine: durable sales\n             store: SQLite file\n"
               "grouped      shared transactions\n")
    compiled_in = subjects.strategies_in(listing)
    assert compiled_in == {"embedded", "grouped"}
    there, missing = subjects.split_by_binary(subjects.select(["grouped", "naive"]), compiled_in)
    assert [subject.name for subject in there] == ["grouped"] and missing == ["naive"]


def test_every_strategy_meets_the_same_loads():
    chosen = subjects.select(["pessimistic", "grouped"])
    cases = plan.make_cases(["ten", "one"], chosen)
    assert [case.scenario for case in cases] == ["one"] * 6 + ["ten"] * 6
    assert {(case.connections, case.concerts) for case in cases} == {
        (64, 1), (512, 1), (64, 10), (512, 10)}
    # Those that are compared stand together.
    assert [case.subject for case in cases[:3]] == [subject.name for subject in chosen]
    assert plan.services_of(cases[0]) == ("mariadb",)
    assert not any(map(plan.services_of, plan.make_cases(
        ["one", "http", "sqlite"], subjects.select(["embedded"]))))


def test_locks_are_compared_under_the_same_load():
    cases = plan.make_cases(["redlock"])
    assert len({case.key for case in cases}) == len(cases) == 2 * 4 + 2 * 2
    sales = [case for case in cases if case.scenario == "redlock"]
    assert [case.subject for case in sales[:4]] == list(plan.LOCK_SUBJECTS)  # stand together
    assert {(case.connections, case.concerts) for case in sales} == {(64, 1), (64, 10)}
    assert plan.services_of(sales[0]) == ("mariadb",)
    assert plan.services_of(sales[1]) == ("mariadb", "redis")
    assert [subjects.BY_NAME[name].lock_nodes for name in plan.LOCK_SUBJECTS] == [0, 1, 3, 1]
    # The isolation goes with it, and can be asked for alone; no load generator is needed for it.
    alone = plan.make_cases(["isolation"])
    assert alone == cases[8:] and plan.make_cases(["isolation", "redlock"]) == cases
    assert {(case.subject, case.catalog_pool) for case in alone} == {
        ("pessimistic-statements", 0), ("redlock-n1", 0),
        ("pessimistic-statements", 2), ("redlock-n1", 2)}
    assert report.ceiling_loads(alone) == [] and report.ceiling_loads(cases) == [(64, 1)]
    assert all(plan.seconds_of(case, 5) > 4 for case in cases)


def test_locks_that_the_binary_lacks_are_left_out():
    chosen = subjects.select(["grouped"])
    assert plan.names_of_scenarios(["one", "redlock"], chosen) == ["grouped", *plan.LOCK_SUBJECTS]
    assert plan.names_of_scenarios(["ten"], chosen) == ["grouped"]
    assert plan.names_of_scenarios(["http"], chosen) == []
    needed = [subjects.BY_NAME[name] for name in plan.names_of_scenarios(["redlock"], chosen)]
    there, missing = subjects.split_by_binary(needed, {"pessimistic"})
    assert missing == ["redlock-n1", "redlock-n3", "redlock-n1-handoff16"]
    cases = plan.make_cases(["redlock"], [], there={subject.name for subject in there})
    assert {case.subject for case in cases} == {"pessimistic-statements"}


def test_loops_that_were_not_built_are_left_out():
    assert plan.make_cases(["mariadb"], loops=["sqlite"]) == []
    forms = {case.form for case in plan.make_cases(["mariadb"])}
    assert forms == {"joined", "text", "prepared"}


def test_rules_name_what_there_is():
    everything = plan.make_cases(plan.SCENARIOS, subjects.ALL)
    places = {(case.scenario, case.subject) for case in everything}
    keys = {case.key for case in everything}
    for rule in goals.RULES:
        assert {(rule.scenario, rule.ours), (rule.scenario, rule.theirs)} <= places
        assert rule.field in tables.FIELDS
        assert set(rule.at_least) <= {"", *(case.load for case in everything)}
    for bound in goals.BOUNDS:
        assert plan.key_of(bound.scenario, bound.load, bound.subject) in keys
        assert bound.field in tables.BOUND_FIELDS and bound.field in report.SUMMARIZED
        assert (bound.at_least is None) != (bound.at_most is None)
    for rule in goals.LOOP_RULES:
        assert (rule.scenario, rule.subject) in places
        assert f"{rule.loop_scenario}/{rule.load_for('64 connections')}/loop" in keys


# --- report ---------------------------------------------------------------------------------------


def rounds_of(rates_by_subject, load_name="64 connections"):
    count = len(next(iter(rates_by_subject.values())))
    rounds = []
    for number in range(count):
        measurements = {
            f"http/{load_name}/{subject}": load.measurement(
                counts(rates[number] * 2), 1.0, 1.0, 1, 1)
            for subject, rates in rates_by_subject.items() if rates[number] is not None}
        rounds.append({"number": number + 1, "load_average": (0.5, 0.5, 0.5),
                       "measurements": measurements, "complete": True})
    return rounds


def test_compare_says_when_spreads_overlap():
    ours = plan.Case("http", "resvd", "64 connections", 64)
    theirs = plan.Case("http", "nginx", "64 connections", 64)
    rounds = rounds_of({"resvd": [100, 130, 120], "nginx": [110, 100, 105]})
    found = report.compare(rounds, ours, theirs, "requests_per_second", at_least=1.0)
    assert found["spreads_overlap"] and found["goal_reached"]
    assert found["ratio"]["median"] == pytest.approx(120 / 105)
    rounds = rounds_of({"resvd": [90, 91, 92], "nginx": [110, 100, 105]})
    found = report.compare(rounds, ours, theirs, "requests_per_second", at_least=1.0)
    assert not found["spreads_overlap"] and found["goal_reached"] is False


def test_a_goal_can_be_a_most():
    ours = plan.Case("one", "grouped", "64 connections", 64)
    theirs = plan.Case("one", "pessimistic-statements", "64 connections", 64)
    rounds = [{"measurements": {ours.key: {"p99_ms": mine}, theirs.key: {"p99_ms": other}}}
              for mine, other in ((8, 80), (9, 90), (50, 100))]
    found = report.compare(rounds, ours, theirs, "p99_ms", at_most=1)
    assert found["ratio"]["median"] == pytest.approx(0.1)
    assert found["goal_is"] == "at most" and found["goal_reached"] is True
    assert report.compare(rounds, theirs, ours, "p99_ms", at_most=1)["goal_reached"] is False
    assert report.compare(rounds, ours, theirs, "p99_ms")["goal_reached"] is None


def test_confidence_of_the_range_grows_with_rounds():
    assert summary.confidence_of_range(1) == 0
    assert summary.confidence_of_range(2) == 0.5
    assert summary.confidence_of_range(5) == pytest.approx(0.9375)


def test_compare_after_an_interruption():
    ours = plan.Case("http", "resvd", "64 connections", 64)
    theirs = plan.Case("http", "nginx", "64 connections", 64)
    rounds = rounds_of({"resvd": [100, 100], "nginx": [50, None]})
    assert report.compare(rounds, ours, theirs, "requests_per_second")["ratio"]["count"] == 1
    rounds = rounds_of({"resvd": [100], "nginx": [None]})
    assert report.compare(rounds, ours, theirs, "requests_per_second") is None


def test_ceiling_marks_what_is_within_80_percent():
    measurement = {"requests_per_second": 80, "generator_limited": False}
    report.mark_limited(measurement, 101)
    assert not measurement["generator_limited"]
    report.mark_limited(measurement, 100)
    assert measurement["generator_limited"] and measurement["share_of_ceiling"] == 0.8


def test_generator_ceiling():
    assert report.generator_ceiling(load.measurement(RESULT, 0.5, 1.0, 1, 1)) == 2000
    assert report.generator_ceiling({"requests_per_second": 5, "generator_busy": 0}) is None


def test_ceiling_loads_are_measured_once_each():
    cases = plan.make_cases(["http", "embedded", "sqlite"])
    assert report.ceiling_loads(cases) == [(64, 1), (512, 1), (64, 16)]
    assert report.ceiling_of([{"connections": 64, "depth": 16, "generator_ceiling": 9}],
                             plan.Case("http", "resvd", "", 64, 16)) == 9


def make_document(violations):
    cases = plan.make_cases(["http"])
    found = {
        "date": "2000-01-01T00:00:00+00:00", "commit": "0123456", "tree_is_clean": True,
        "resvd": ["resvd 0.1.0"], "build": {"optimization": "2"}, "wrk": "wrk 4",
        "nginx": "nginx/1", "sqlite": "3.40.1", "cpu": "a CPU", "cores": 2, "memory_mib": 1,
        "kernel": "Linux",
        "system": "Debian", "file_system": {"device": "d", "type": "ext4"}, "sync_us": 100.0}
    parameters = {"threads": 1, "rounds": 3, "rounds_done": 1, "seconds": 1, "config_digest": "ab"}
    rounds = rounds_of({"resvd": [300, 310], "nginx": [100, 100], "nginx-auto": [150, None]})
    rounds[1]["measurements"]["http/64 connections/resvd"]["generator_limited"] = True
    ceilings = [{"load": "64 connections", "connections": 64, "depth": 1,
                 "requests_per_second": 900, "generator_busy": 0.7, "generator_ceiling": 1286}]
    return report.make(found, [], parameters, ceilings, rounds, cases, violations), cases


def test_markdown_of_an_interrupted_run():
    document, cases = make_document([])
    text = tables.markdown(document, cases)
    assert "| resvd (answers at once), 64 connections | 305 | " in text
    assert "| 3.05 | " in text and "at least 1.0: reached" in text
    assert " ⚠ |" in text and "1 of 3" in text
    assert "16 deep" not in text  # was not reached
    json.dumps(document)


def test_markdown_shows_violations_first():
    document, cases = make_document(["lost: 1"])
    text = tables.markdown(document, cases)
    assert text.index("FAILED") < text.index("lost: 1") < text.index("| what |")


# --- progress -------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds, text", [
    (-3, "0 s"), (59.4, "59 s"), (60, "1 min 00 s"), (125.2, "2 min 05 s")])
def test_duration_text(seconds, text):
    assert progress.duration_text(seconds) == text


def make_store_document():
    chosen = subjects.select(["pessimistic-statements", "grouped", "naive"])
    cases = plan.make_cases(["one"], chosen)
    rounds = []
    for _ in range(2):
        measurements = {}
        for case in cases[:3]:
            one = load.measurement(counts(5000 if case.subject == "grouped" else 400, status=40),
                                   0.5, 1.0, 1, 1)
            one["database"] = database.work_done(
                {"commits": 0, "syncs": 0}, {"commits": 360, "syncs": 90}, 0.2, 360, 2.0)
            one["violations"] = ["lost: 3"] if case.subject == "naive" else []
            measurements[case.key] = one
        measurements["one/64 connections/grouped"]["batch"] = {"mean": 31.5}
        rounds.append({"number": 1, "load_average": (0, 0, 0), "measurements": measurements})
    document, _ = make_document([])
    variables = {"version": "10.11.6-MariaDB", "innodb_flush_log_at_trx_commit": "1"}
    found = {**document["facts"], "mariadb": variables}
    parameters = {"threads": 1, "rounds": 2, "rounds_done": 2, "seconds": 1, "config_digest": "ab"}
    return report.make(found, [], parameters, [], rounds, cases, []), cases


def test_a_goal_missed_by_little_does_not_look_reached():
    def digits(median, goal=None):
        return cells.ratio_digits({"ratio": {"median": median}, "goal": goal})

    assert digits(0.7496, 0.75) == 4 and digits(0.012) == 4
    assert digits(0.75, 0.75) == digits(0.74, 0.75) == digits(19.85, 10) == digits(1.35) == 2


def test_markdown_of_strategies_side_by_side():
    document, cases = make_store_document()
    text = tables.markdown(document, cases)
    row = next(line for line in text.splitlines() if line.startswith("| grouped, 64"))
    assert "| 2,480 |" in row and "| 31.5 |" in row and "| 80 (0.8%) |" in row
    row = next(line for line in text.splitlines() if line.startswith("| pessimistic, form=st"))
    assert "| 1.0 |" in row and "| 180 |" in row  # rows and commits by the server's own counters
    assert "at least 10: reached" in text
    assert "MariaDB 10.11.6-MariaDB: innodb_flush_log_at_trx_commit=1" in text
    assert "phantom; but naive (oversells)" in text
    json.dumps(document)


def make_lock_document(rates, failed):
    """Two rounds; `rates` are those of redlock-n1 with one concert, `failed` its reads."""
    cases = plan.make_cases(["redlock"])
    rounds = []
    for rate, victims in zip(rates, failed):
        measurements = {}
        for case in cases[:4]:
            factor = {"redlock-n3": 0.7, "redlock-n1-handoff16": 3}.get(case.subject, 1)
            one = load.measurement(counts(round(rate * factor * 2)), 0.5, 1.0, 1, 1)
            one["violations"] = []
            if subjects.BY_NAME[case.subject].lock_nodes:
                one["redis"] = lock_nodes.work_done(rate * 6, 0.1, rate * 2)
            measurements[case.key] = one
        for case in cases[8:]:
            lost = victims if case.subject == "redlock-n1" else 10
            measurements[case.key] = isolation.measurement(
                [201] * 5 + [409] * 25, [503] * lost + [200] * (10 - lost), 0.02)
        rounds.append({"number": 1, "load_average": (0, 0, 0), "measurements": measurements})
    document, _ = make_document([])
    found = {**document["facts"], "lock_nodes": {
        "version": "7.0.15", "settings": {"appendonly": "yes", "save": ""}}}
    return report.make(found, [], document["parameters"], [], rounds, cases, []), cases


def test_markdown_of_the_locks():
    document, cases = make_lock_document([900, 1100], [0, 0])
    text = tables.markdown(document, cases)
    row = next(line for line in text.splitlines() if line.startswith("| redlock, N=3, handoff=off"))
    assert "| 3.0 |" in row  # commands each
    assert "Redis 7.0.15" in text and "appendonly=yes, save=(none)" in text
    assert "at least 0.65: reached" in text and "at least 4: MISSED" in text
    assert "| 1,000 | median | at least 1000: reached |" in text
    assert "| 0 | worst round | at most 0: reached |" in text
    row = next(line for line in text.splitlines() if "(catalog_pool=0)" in line and "pess" in line)
    assert "| 10 | 10–10 | 20.00 | 5 |" in row
    json.dumps(document)


def test_bounds_by_the_median_or_by_the_worst_round():
    document, cases = make_lock_document([900, 1090], [0, 1])
    reached = {(entry["case"], entry["goal_reached"]) for entry in document["bounds"]}
    assert reached == {("redlock/one concert/redlock-n1", False),
                       ("isolation/one pool/redlock-n1", False),
                       ("isolation/reads have their own/redlock-n1", False)}
    assert "| 1 | worst round | at most 0: MISSED |" in tables.markdown(document, cases)
    document, _ = make_lock_document([1000], [0])
    assert all(entry["goal_reached"] for entry in document["bounds"])
