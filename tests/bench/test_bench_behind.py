"""The benchmark's pure parts about strategies that write behind: histograms, shares of CPU, rates
of a backlog, cases, report."""

import json
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))

import load
import plan
import report
import summary
import tables
import written_behind
from test_bench import audit_of, counts, make_document


# --- histograms -----------------------------------------------------------------------------------


def readings(*counts_of_buckets):
    """Of a histogram with the bounds 1, 2 and 4; and of another one."""
    return [{f'h_bucket{{strategy="async",le="{bound}"}}': count
             for bound, count in zip(("1", "2", "4", "+Inf"), one)}
            | {'h_sum{strategy="async"}': one[-1] * 1.5, 'h_count{strategy="async"}': one[-1],
               'h_bucket_bucket{le="+Inf"}': 99} for one in counts_of_buckets]


def test_histogram_between_two_readings():
    before, after = readings((10, 10, 10, 10), (12, 16, 20, 20))
    assert summary.grown(before, after, "h_count") == 10
    assert summary.histogram_mean(before, after, "h") == pytest.approx(1.5)
    # 2 are below 1, 4 more below 2, 4 more below 4.
    assert summary.histogram_quantile(before, after, "h", 0.1) == pytest.approx(0.5)
    assert summary.histogram_quantile(before, after, "h", 0.5) == pytest.approx(1.75)
    assert summary.histogram_quantile(before, after, "h", 0.9) == pytest.approx(3.5)
    before, after = readings((0, 0, 0, 0), (0, 0, 1, 10))
    assert summary.histogram_quantile(before, after, "h", 0.99) == 4  # beyond the highest bound
    assert summary.histogram_quantile(after, after, "h", 0.5) is None
    assert summary.histogram_mean(after, after, "h") is None
    assert summary.histogram_quantile({}, {}, "h", 0.5) is None


# --- what is measured ----------------------------------------------------------------------------


def test_rate_of_a_backlog_is_from_the_first_commit_to_the_last():
    seen = [(0.0, 10), (5.0, 1010), (6.0, 2010), (7.0, 5010)]  # it took 5 s to begin
    assert written_behind.rate_of(seen) == (pytest.approx(2000), pytest.approx(2.0))
    assert written_behind.rate_of(seen[:2])[0] is None  # one COMMIT has no duration
    assert written_behind.rate_of([])[0] is None


def test_shares_of_all_cpu():
    found = written_behind.shares_of({"resvd": 1.0, "kafka": 2.0, "wrk": 1.0}, 2000)
    assert found["resvd_share"] == 0.25 and found["cpu_seconds_per_1000"]["kafka"] == 1.0
    nothing = written_behind.shares_of({"resvd": 0.0}, 0)
    assert nothing["resvd_share"] is None and nothing["cpu_seconds_per_1000"] == {"resvd": None}


def test_what_is_odd_and_what_nobody_knows():
    def reading(swept, status_500):
        return {'resvd_async_swept_total{strategy="async"}': swept,
                'resvd_async_undone_total{strategy="async"}': 3,
                'resvd_http_requests_total{route="/x",status="500"}': status_500,
                'resvd_http_requests_total{route="/x",status="202"}': 10 * status_500}

    assert written_behind.odd_events(reading(1, 0), reading(5, 0)) == {"swept": 4}
    assert written_behind.answers_of_500(reading(0, 2), reading(0, 9)) == 7


def test_a_drained_backlog_has_a_row_each():
    assert written_behind.drain_violations(audit_of(100), audit_of(100), 100) == []
    assert written_behind.drain_violations(audit_of(99), audit_of(99), 100)
    assert written_behind.drain_violations(audit_of(101), audit_of(101), 100)
    assert written_behind.drain_violations(audit_of(100), audit_of(99), 100)
    assert written_behind.drain_violations(audit_of(100, consistent=False), audit_of(100), 100)


def test_a_backlog_has_an_event_for_each_answer():
    case = plan.Case("fill", "async", "", 64)
    answers = written_behind.Answers()
    answers.add(case, {**counts(1000), "status": 100, "read": 1})
    answers.add(case, {**counts(500), "timeout": 2})
    assert answers == written_behind.Answers(1400, 64 + 1 + 64 + 2)
    assert answers.violations(1400) == answers.violations(1531) == []
    assert [text.split(":")[0] for text in answers.violations(1399)] == ["lost"]
    assert [text.split(":")[0] for text in answers.violations(1532)] == ["phantom"]


def test_each_violation_of_the_tables_is_named_once():
    assert written_behind.row_violations(audit_of(100), "the tables", 100) == []
    assert len(written_behind.row_violations(audit_of(99), "the tables", 100)) == 1


# --- plan and report ------------------------------------------------------------------------------


def test_what_is_written_behind_meets_the_loads_of_nginx_too():
    cases = plan.make_cases(["async"])
    assert len({case.key for case in cases}) == len(cases) == 2 * 3 + 1 + 3
    assert [case.subject for case in cases[:3]] == ["async", "async-single", "nginx"]
    assert plan.services_of(cases[0]) == ("mariadb", "redis", "kafka")
    assert plan.services_of(cases[2]) == ()
    assert report.ceiling_loads(cases) == [(64, 1), (512, 1)]
    alone = plan.make_cases(["drain"])
    assert alone == cases[7:] and report.ceiling_loads(alone) == []
    assert {(case.concerts, case.partitions) for case in alone} == {(1, 12), (1, 1), (10, 12)}
    assert plan.services_of(alone[0]) == ("mariadb", "redis", "kafka")
    assert plan.drain_events(5) == 300_000 and plan.drain_events(1) == 60_000
    assert all(plan.seconds_of(case, 5) > 5 for case in cases)
    assert plan.make_cases(["async"], there=set()) == []
    assert plan.names_of_scenarios(["drain"], []) == ["async"]


def make_async_document(rate, drained):
    cases = plan.make_cases(["async"])
    measurements = {}
    for case in cases:
        if case.scenario == "drain":
            measurements[case.key] = {
                "events": 300_000, "rows_per_second": drained, "rows_per_transaction": 990.0,
                "raw_rows_per_second": 200_000, "of_raw": drained / 200_000,
                "behind": written_behind.shares_of({"resvd": 1.0, "mariadbd": 3.0}, 300_000)}
            continue
        one = load.measurement(counts(rate * 2), 0.5, 1.0, 1, 1)
        if case.subject != "nginx":
            one["server_cpu_seconds_per_1000"] = 0.018
            one["behind"] = {
                **written_behind.shares_of({"resvd": 1.0, "kafka": 3.0, "wrk": 1.0}, rate),
                "row": {"p50_ms": 7.5, "p95_ms": 8.0, "p99_ms": 9.5}, "taken_per_call": 12.0,
                "backlog": 321, "drain_seconds": 0.25, "odd": {}}
        measurements[case.key] = one
    rounds = [{"number": 1, "load_average": (0, 0, 0), "measurements": measurements}]
    document, _ = make_document([])
    found = {**document["facts"], "stock_and_log": {
        "redis_version": "7.0.15", "redis_settings": {"appendonly": "yes", "save": ""},
        "kafka_version": "3.9", "kafka_brokers": 1, "kafka_heap_mb": 320}}
    return report.make(found, [], document["parameters"], [], rounds, cases, []), cases


def test_markdown_of_what_is_written_behind():
    document, cases = make_async_document(30_000, 170_000)
    text = tables.markdown(document, cases)
    row = next(line for line in text.splitlines() if line.startswith("| async, 64 conn"))
    assert "| 30,000 |" in row and "| 7.5 | 9.5 | 12.0 |" in row and "| 321 | 0.25 |" in row
    assert "| 0.20 |" in row  # resvd's part
    row = next(line for line in text.splitlines() if line.startswith("| one concert, 1 partition"))
    assert "| 170,000 |" in row and "| 0.85 |" in row
    assert "Redis 7.0.15: appendonly=yes, save=(none)" in text and "Kafka 3.9, 1 broker" in text
    assert "Every run ended with an audit" in text
    reached = {(entry["case"], entry["field"]): entry["goal_reached"]
               for entry in document["bounds"]}
    assert reached["async/64 connections/async", "requests_per_second"] is True
    assert reached["async/512 connections/async", "requests_per_second"] is False
    assert reached["async/64 connections/async", "server_cpu_seconds_per_1000"] is True
    assert reached["async/512 connections/async", "server_cpu_seconds_per_1000"] is False
    assert reached["async/64 connections/async", "resvd_share"] is True
    assert reached["drain/ten concerts/async", "of_raw"] is True
    document, _ = make_async_document(30_000, 140_000)
    reached = {(entry["case"], entry["field"]): entry["goal_reached"]
               for entry in document["bounds"]}
    assert reached["drain/one concert/async", "rows_per_second"] is False
    assert reached["drain/one concert/async", "of_raw"] is False
    json.dumps(document)
