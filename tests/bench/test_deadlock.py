"""A hundred at once on a hundred seats: what is counted, and two runs for real on a MariaDB."""

import os
import pathlib
import sys

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "bench"))

import deadlock
import facts
import load
import session
import subjects
import summary

BUILD = pathlib.Path(os.environ.get("RESVD_BUILD_DIR", TOP / "build"))


# --- what is counted ------------------------------------------------------------------------------


def tables_of(live, sold, capacity=deadlock.CAPACITY):
    return {"consistent": live == sold <= capacity,
            "concerts": [{"id": 1, "capacity": capacity, "sold": sold, "live": live}]}


def violations_of(found, tables):
    return summary.audit_violations(tables, 0, found["counts"], found["unknown"], 1)


def test_a_measurement_of_no_control():
    tables = tables_of(live=20, sold=12)
    found = deadlock.measurement([201] * 20 + [409] * 80, 0.5, 80, tables)
    assert (found["succeeded"], found["failed"]) == (20, 80)
    assert found["statuses"] == {"201": 20, "409": 80}
    assert (found["deadlocks"], found["rows"], found["seats_sold"]) == (80, 20, 12)
    assert len(violations_of(found, tables)) == 2  # inconsistent, and sold is not the rows


def test_a_measurement_of_an_honest_strategy():
    tables = tables_of(live=100, sold=100)
    for status in (201, 202):
        found = deadlock.measurement([status] * 100, 0.5, 0, tables)
        assert (found["succeeded"], found["failed"]) == (100, 0)
        assert violations_of(found, tables) == []
        assert load.accepted(found["counts"]) == 100


@pytest.mark.parametrize("live, wrong", [(97, ["lost"]), (98, []), (99, []), (100, ["phantom"])])
def test_what_nobody_knows_may_have_its_row(live, wrong):
    tables = tables_of(live=live, sold=live)
    found = deadlock.measurement([201] * 98 + [500] + [503], 0.5, 0, tables)
    assert found["unknown"] == 1
    assert [text.split(":")[0] for text in violations_of(found, tables)] == wrong


def test_deadlocks_are_those_of_the_run():
    assert deadlock.deadlocks_between({"deadlocks": 5}, {"deadlocks": 9}) == 4
    assert deadlock.deadlocks_between({}, {"commits": 9}) is None


def test_options_are_for_those_who_have_a_database():
    assert set(deadlock.resvd_options(())) == {"server.operation_timeout_ms"}
    assert deadlock.resvd_options(("mariadb", "redis"))["database.pool_max"] == "10"


def test_a_request_is_whole():
    head, _, body = deadlock.request_of(17).partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head and b'"memberId": 17' in body


# --- for real -------------------------------------------------------------------------------------


@pytest.fixture
def opened(tmp_path):
    if not (BUILD / "resvd").is_file():
        pytest.skip("there is no resvd")
    if not facts.find_program("mariadbd"):
        pytest.skip("mariadbd is not there")
    tools = {"resvd": BUILD / "resvd", "wrk": None, "mariadb_loop": None}
    found = session.Session(tools, tmp_path, seconds=1, threads=1)
    yield found
    found.close()


def measure(opened, name):
    """As a session is to do it: the run, then both audits."""
    subject = subjects.BY_NAME[name]
    listing = facts.output_of(str(BUILD / "resvd"), "--list-strategies")
    if subject.strategy not in subjects.strategies_in(listing):
        pytest.skip(f"{subject.strategy} is not in this build")
    server = opened.start_strategy(subject, opened.new_folder("store"), capacity=deadlock.CAPACITY,
                                   further=deadlock.resvd_options(subject.services).items())
    try:
        store = opened.database()
        before = store.counters()
        statuses, seconds = deadlock.run(server.port)
        server.wait_until_idle()
        tables = store.audit()
        found = deadlock.measurement(
            statuses, seconds, deadlock.deadlocks_between(before, store.counters()), tables)
        differences = summary.audit_differences(server.admin_json("GET", "/admin/audit"), tables)
        return found, violations_of(found, tables) + differences
    finally:
        server.stop()


def test_without_control(opened):
    found, violations = measure(opened, "naive")
    assert found["deadlocks"] > 0
    assert found["failed"] > 0 and found["succeeded"] + found["failed"] == deadlock.COUNT
    assert found["rows"] == found["succeeded"]  # no answer is untrue
    assert found["rows"] != found["seats_sold"]
    assert any("sold is" in text for text in violations)


@pytest.mark.parametrize("name", ["pessimistic-statements", "grouped"])
def test_with_control(opened, name):
    found, violations = measure(opened, name)
    assert violations == []
    assert found["statuses"] == {"201": deadlock.COUNT}
    assert found["succeeded"] == found["rows"] == found["seats_sold"] == deadlock.COUNT
    assert found["deadlocks"] == 0
