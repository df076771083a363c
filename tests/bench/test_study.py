"""The source study's tables beside ours, and the README's: from a made-up document that has every
scenario."""

import copy
import pathlib
import re
import sys

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "bench"), str(pathlib.Path(__file__).resolve().parent)]

import figure_data
import plan
import readme_tables
import study
from made_up import made_up, numbers_in, numbers_of, written


@pytest.fixture(scope="module")
def document():
    return made_up()


# --- the study's tables ---------------------------------------------------------------------------


def rows_of(table):
    return {row[0]: row[1:] for row in table.rows}


def test_the_studys_numbers_are_the_published_ones(document):
    load, peers, deadlock, isolation = study.tables(document)
    nothing = study.NOTHING
    assert rows_of(load)["the study, before: a lock"] == (
        "100", nothing, "95%", "3,500", "3,700", nothing, nothing, "200", "12", "10")
    assert rows_of(load)["the study, after: Kafka"] == (
        "6,000", nothing, "0%", "27", "27", nothing, nothing, "20", "1", "0")
    assert rows_of(peers)["the study, before: a lock"] == (
        "2,000 users, 100 requests/s with 95% errors", nothing, nothing, "3,500", "3,700", nothing,
        nothing)
    assert rows_of(peers)["the study, after: Kafka"] == (
        "2,000 users, 6,000 requests/s with 0% errors", nothing, nothing, "27", "27", nothing,
        nothing)
    assert rows_of(deadlock)["the study, no control"] == (
        nothing, nothing, "about 80", "20", "not the 20 of the rows")
    assert rows_of(isolation)["the study, pessimistic"][1:3] == ("224", "low")
    assert rows_of(isolation)["the study, lock by Redisson"][1:3] == ("123", "high")


def test_ours_stand_beside_the_studys(document):
    load, peers, deadlock, isolation = study.tables(document)
    rates = [value["requests_per_second"]["median"] for key, value in document["summary"].items()
             if key.startswith("stampede/") and key.endswith("/grouped")]
    assert rows_of(load)["grouped"][0] == f"{rates[0]:,.0f}"
    assert rows_of(load)["Spring peer, lock, as published"][2] == "91.1%"
    assert rows_of(load)["embedded (SQLite) ⚠"]
    assert len(peers.rows) == 2 + 7 + 2
    for row in peers.rows[2:]:  # a consumer's own rate is that of a backlog
        assert (row[-1] != study.NOTHING) is (row[1] == plan.PEER_DRAIN_LOAD)
    assert any("fair" in note for note in load.notes)
    assert rows_of(deadlock)["naive (oversells)"][2:] == (
        "78", rows_of(deadlock)["naive (oversells)"][0], "5")
    beside = {(row[0], row[1]): row[2:] for row in isolation.rows}
    assert beside["pessimistic, form=statements", "one pool"][1] == "10"
    assert beside["redlock, N=1, handoff=off", "one pool"][1] == "0"
    for table in (load, peers, deadlock, isolation):
        assert all(len(row) == len(table.header) for row in table.rows)
        assert any("omparable" in note or "compared" in note for note in table.notes)


def test_the_studys_tables_need_their_scenario():
    assert study.tables(made_up(1, {"one"})) == []
    assert study.markdown(made_up(1, {"one"})) == []
    assert [table.title for table in study.tables(made_up(1, {"deadlock"}))] == [
        "The study's table 5.1, beside `deadlock`: 100 at once on 100 seats"]


def test_the_studys_markdown(document):
    lines = study.markdown(document)
    assert all(isinstance(line, str) and "\n" not in line for line in lines)
    text = "\n".join(lines)
    for number in ("1.8 s", "2 s", "1 s", "50 s", "202"):
        assert number in text
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1
    table = study.Table("t", ("a", "b"), (("x|y", "1"),))
    assert study.markdown_table(table)[-1] == "| x\\|y | 1 |"


# --- the README's tables --------------------------------------------------------------------------


def test_the_readmes_tables_name_their_source(document):
    text = readme_tables.summary(document, "20010203T040506Z-made-up.json")
    assert text.count("From `20010203T040506Z-made-up.json`: commit made-up") == 2
    assert "The load generator, not the server" not in text.split("From")[0]
    assert "⚠: the load generator, not the server, may have been the limit." in text


def test_the_readmes_numbers_are_the_documents(document):
    text = readme_tables.summary(document, "made-up.json")
    ratios = [figure_data.entry_of(key) for key in document["summary"]
              if key.startswith("peers/") and "/peer" not in key]
    allowed = numbers_of(document)
    for entry in ratios:
        peer = "lock" if entry.load.startswith("lock") else "async"
        other = figure_data.entry_of(f"peers/{entry.load}/peer-{peer}-fair")
        for name in ("requests_per_second", "rows_per_second"):
            value = readme_tables.ratio(document, entry, other, name)
            allowed |= written(value) if value else set()
    missing = numbers_in(re.sub(r"(\d)(x|/s)", r"\1 ", text)) - allowed
    assert missing <= {"1,000", "201", "202"}


def test_the_readmes_strategies_are_side_by_side(document):
    lines = readme_tables.summary(document).splitlines()
    assert lines[0].count("connections") == 2
    grouped = next(line for line in lines if line.startswith("| grouped |"))
    spread = document["summary"]["one/64 connections/grouped"]["requests_per_second"]
    assert f"{spread['median']:,.0f}/s" in grouped and "201: COMMIT" in grouped
    assert any(line.startswith("| async |") and "its row follows" in line for line in lines)
    assert any(line.startswith("| embedded (SQLite) |") and "201: on the disk" in line
               for line in lines)
    assert not any(line.startswith("| nginx") for line in lines)


def test_the_readme_says_where_a_commit_is_not_synced(document):
    lax = copy.deepcopy(document)
    lax["facts"]["mariadb"]["innodb_flush_log_at_trx_commit"] = "2"
    assert "201: COMMIT, not synced (2)" in readme_tables.summary(lax)


def test_the_peers_ratio_is_the_documents_or_of_the_same_rounds(document):
    key = "peers/lock path, 64 connections/grouped"
    entry = figure_data.entry_of(key)
    other = figure_data.entry_of("peers/lock path, 64 connections/peer-lock-fair")
    said = readme_tables.ratio(document, entry, other, "requests_per_second")
    assert said == document["comparisons"][0]["ratio"]["median"]
    silent = {**document, "comparisons": []}
    assert readme_tables.ratio(silent, entry, other, "requests_per_second") == pytest.approx(said)
    line = next(line for line in readme_tables.summary(document).splitlines()
                if line.startswith("| grouped | lock path"))
    assert line.endswith(f"| {said:.1f}x |")


def test_a_backlog_is_compared_by_its_rows(document):
    key = "peers/backlog/async"
    line = next(line for line in readme_tables.summary(document).splitlines()
                if line.startswith("| async | backlog"))
    median = document["summary"][key]["rows_per_second"]["median"]
    assert f"| {median:,.0f} rows/s |" in line and re.search(r"\d\.\dx \|$", line)
    assert line.count("x |") == 1


def test_without_a_fair_peer_there_is_no_ratio():
    alone = made_up(1, {"peers"})
    for part in (alone["summary"], alone["rounds"][0]["measurements"]):
        for key in [key for key in part if key.endswith("-fair")]:
            del part[key]
    assert "x |" not in readme_tables.summary({**alone, "comparisons": []})


def test_a_document_without_either_has_no_readme_tables():
    assert readme_tables.summary(made_up(1, {"http"})) == ""
