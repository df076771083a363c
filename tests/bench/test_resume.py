"""Long runs go on: the state survives a kill at any moment, goes on only where it began, repeats
nothing that is there, and says that it was interrupted."""

import copy
import io
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest

BENCH = pathlib.Path(__file__).resolve().parents[2] / "bench"
sys.path.insert(0, str(BENCH))

import bench_run
import comparison
import plan
import progress
import report
import resume
import servers

FACTS = {
    "date": "2026-11-23T01:00:00+00:00", "commit": "abc1234", "tree_is_clean": True,
    "tree_digest": "0" * 64, "resvd": ["resvd 0.1.0 (abc1234)", "compiler: gcc 12.2.0"],
    "cpu": "AMD EPYC", "cores": 2, "memory_mib": 24105, "kernel": "Linux 6.1", "sync_us": 200.0,
    "file_system": {"mount": "/", "type": "ext4"}, "load": (1, 2),
}
PARAMETERS = {"scenarios": ["one"], "rounds": 3, "rounds_done": 0, "seconds": 5, "threads": 1,
              "config_digest": "a" * 64}
ARGUMENTS = ["--scenario", "one", "--rounds", "3", "--folder", "a b"]


def begin(folder, **changes):
    return resume.Journal.new(folder, ARGUMENTS, {**FACTS, **changes}, dict(PARAMETERS), ["a note"])


class Session:
    """What the report wants of one."""

    def __init__(self):
        self.violations, self.failed = [], []
        self.database_facts = self.lock_facts = self.stock_and_log_facts = None


# --- what it holds --------------------------------------------------------------------------------


def test_a_run_is_loaded_as_it_was_recorded(tmp_path):
    journal = begin(tmp_path / "out")
    assert journal.path.parent == tmp_path / "out"
    assert journal.path.name.startswith("unfinished-") and journal.path.suffix == ".json"
    journal.record_ceiling({"load": "64 connections", "connections": 64})
    entry = journal.begin_round(1, [0.5, 0.4, 0.3])
    session = Session()
    session.violations.append("one: lost")
    session.database_facts = {"version": "10.11"}
    journal.record(1, "one/x/a", {"requests_per_second": 7.5}, session)
    journal.record(1, "one/x/b", None)
    assert entry["measurements"]["one/x/a"] == {"requests_per_second": 7.5}
    loaded = resume.Journal.load(journal.path)
    assert loaded.rounds == [{"number": 1, "load_average": [0.5, 0.4, 0.3], "measurements": {
        "one/x/a": {"requests_per_second": 7.5}, "one/x/b": None}}]
    assert loaded.has_ceiling("64 connections") and not loaded.has_ceiling("512 connections")
    assert loaded.arguments == ARGUMENTS and loaded.notes == ["a note"]
    assert loaded.facts["kernel"] == "Linux 6.1"
    given = Session()
    loaded.give_back(given)
    assert vars(given) == vars(session)
    journal.end_round(1)
    assert resume.Journal.load(journal.path).rounds[0]["complete"] is True


def test_what_the_run_learns_is_in_its_state(tmp_path):
    """Lists and facts are the state's own: what is added to them is saved with the next record."""
    journal = begin(tmp_path)
    journal.notes.append("another")
    journal.facts["k6"] = "1.8"
    journal.begin_round(1, [0, 0, 0])
    journal.record(1, "a", {})
    loaded = resume.Journal.load(journal.path)
    assert loaded.notes == ["a note", "another"] and loaded.facts["k6"] == "1.8"


def test_the_facts_say_that_it_was_interrupted(tmp_path):
    journal = begin(tmp_path)
    journal.begin_round(1, [0, 0, 0])
    journal.record(1, "a", {})
    journal.end_round(1)
    journal.begin_round(2, [0, 0, 0])
    journal.record(2, "a", {})
    saved = journal.state["saved"]
    for count in (1, 2):
        journal = resume.Journal.load(journal.path)
        journal.go_on()
        assert len(journal.facts["interruptions"]) == count
    loaded = resume.Journal.load(journal.path)
    assert loaded.facts["interruptions"][0]["last_saved"] == saved
    assert loaded.facts["interruptions"][0]["resumed"] >= saved
    # Only the round that was half done has parts from different times.
    assert "resumed" not in loaded.begin_round(1, [9, 9, 9])
    half = loaded.begin_round(2, [9, 9, 9])
    assert len(half["resumed"]) == 1 and half["load_average"] == [0, 0, 0]
    assert "resumed" not in loaded.begin_round(3, [9, 9, 9])
    assert [entry["number"] for entry in loaded.rounds] == [1, 2, 3]


def test_finished(tmp_path):
    journal = begin(tmp_path)
    resume.path_of_new(journal.path).touch()  # as a kill between two steps leaves it
    journal.finish()
    assert list(tmp_path.iterdir()) == []
    journal.finish()


def test_two_runs_do_not_share_a_file(tmp_path, monkeypatch):
    journal = begin(tmp_path)

    class SameSecond(resume.datetime.datetime):
        def strftime(self, form):
            return journal.path.stem.removeprefix("unfinished-")

    monkeypatch.setattr(resume.datetime, "datetime", SameSecond)
    with pytest.raises(resume.ResumeError, match="is there already"):
        begin(tmp_path)


# --- what is left ---------------------------------------------------------------------------------


def test_what_is_left(tmp_path):
    cases = plan.make_cases(["http", "embedded"])
    journal = begin(tmp_path)
    whole = report.expected_seconds(cases, 2, 5)
    assert journal.left(cases, 2) == [(1, case) for case in cases] + [
        (2, case) for case in reversed(cases)]
    assert journal.seconds_left(cases, 2, 5) == pytest.approx(whole)
    for connections, _ in report.ceiling_loads(cases):
        journal.record_ceiling({"load": f"{connections}"})
    journal.begin_round(1, [0, 0, 0])
    for case in cases:
        journal.record(1, case.key, {})
    journal.begin_round(2, [0, 0, 0])
    journal.record(2, cases[-1].key, None)  # it could not be taken: it is not tried again
    left = resume.Journal.load(journal.path).left(cases, 2)
    assert left == [(2, case) for case in reversed(cases[:-1])]
    assert journal.seconds_left(cases, 2, 5) == pytest.approx(
        sum(plan.seconds_of(case, 5) for _, case in left))
    journal.state["saved"] = "2026-11-23T01:00:00+00:00"
    journal.go_on()
    assert journal.text_of_left(cases, 2) == (
        f"resumed: {len(cases) + 1} of {2 * len(cases)} measurements are there, the last from "
        "2026-11-23T01:00:00+00:00")
    for _, case in left:
        journal.record(2, case.key, {})
    assert journal.left(cases, 2) == [] and journal.seconds_left(cases, 2, 5) == pytest.approx(0)


# --- kills ----------------------------------------------------------------------------------------

RECORDER = """
import sys
sys.path.insert(0, sys.argv[1])
import resume
journal = resume.Journal.new(sys.argv[2], ["--quick"], {"commit": "x"}, {}, [])
journal.begin_round(1, [0, 0, 0])
number = 0
while True:
    number += 1
    journal.record(1, f"case {number}", {"number": number, "text": "x" * (number * 997 % 20000)})
    print(number, flush=True)
"""


def killed_recorder(folder, records, delay_s):
    """Records until it is killed a moment after so many; returns how many it has told of."""
    process = subprocess.Popen([sys.executable, "-c", RECORDER, str(BENCH), str(folder)],
                               stdout=subprocess.PIPE, text=True)
    try:
        for line in process.stdout:
            if int(line) >= records:
                break
        time.sleep(delay_s)
    finally:
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read()
        process.stdout.close()
        process.wait()
    told = [int(line) for line in rest.splitlines() if line.isdigit()]
    return max([records, *told])


@pytest.mark.parametrize("seed", range(12))
def test_a_killed_run_has_all_but_the_last(tmp_path, seed):
    chance = random.Random(seed)
    told = killed_recorder(tmp_path, chance.randint(1, 30), chance.uniform(0, 0.01))
    path, = tmp_path.glob("unfinished-*.json")
    journal = resume.Journal.load(path)
    measurements = journal.rounds[0]["measurements"]
    numbers = [entry["number"] for entry in measurements.values()]
    assert told <= len(numbers) <= told + 1
    assert numbers == list(range(1, len(numbers) + 1))
    journal.go_on()  # its process is gone
    journal.record(1, "one more", {})
    again = resume.Journal.load(path).rounds[0]["measurements"]
    assert list(again) == [f"case {number}" for number in numbers] + ["one more"]
    journal.finish()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_step_that_fails_leaves_the_state_before(tmp_path, monkeypatch, step):
    journal = begin(tmp_path)
    journal.begin_round(1, [0, 0, 0])
    journal.record(1, "a", {})

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError):
        journal.record(1, "b", {})
    monkeypatch.undo()
    assert list(resume.Journal.load(journal.path).rounds[0]["measurements"]) == ["a"]


def test_the_new_state_is_durable_before_it_has_the_name(tmp_path, monkeypatch):
    steps = []
    for name in ("fsync", "replace"):
        original = getattr(os, name)

        def step(*arguments, name=name, original=original):
            steps.append(name)
            return original(*arguments)

        monkeypatch.setattr(os, name, step)
    resume.write_whole(tmp_path / "x", "text")
    assert steps == ["fsync", "replace", "fsync"]  # the file, its name, the folder


def test_a_run_that_is_going_on_is_not_taken_over(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", RECORDER, str(BENCH), str(tmp_path)],
                               stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "1\n"
        path, = tmp_path.glob("unfinished-*.json")
        with pytest.raises(resume.ResumeError, match=f"still going on, as process {process.pid}"):
            resume.Journal.load(path).go_on()
    finally:
        process.kill()
        process.stdout.close()
        process.wait()
    resume.Journal.load(path).go_on()


# --- refusals -------------------------------------------------------------------------------------


def check(journal, facts=None, parameters=None):
    resume.check_same(journal.path, journal.state, {**FACTS, **(facts or {})},
                      {**PARAMETERS, **(parameters or {})})


def test_the_same_may_go_on(tmp_path):
    journal = resume.Journal.load(begin(tmp_path).path)
    check(journal, {"date": "later", "sync_us": 900.0, "memory_mib": 24106, "mariadb": {}},
          {"rounds_done": 2})
    journal.facts["mariadb"] = {"version": "10.11"}  # learnt since: not known before it runs again
    journal.go_on()
    check(journal)


@pytest.mark.parametrize("facts, parameters, wanted", [
    ({"commit": "def5678"}, {},
     "commit: then abc1234, now def5678 (git checkout abc1234, then ./dev build)"),
    ({"tree_is_clean": False}, {}, "tree is clean: then true, now false (the tree as it was then)"),
    ({"tree_digest": "1" * 64}, {}, "tree digest: then 000000000000, now 111111111111 (the tree"),
    ({"cpu": "Xeon"}, {}, "cpu: then AMD EPYC, now Xeon"),
    ({"cores": 4}, {}, "cores: then 2, now 4"),
    ({"memory_mib": 8000}, {}, "memory mib: then 24105, now 8000"),
    ({"kernel": "Linux 6.2"}, {}, "kernel: then Linux 6.1, now Linux 6.2"),
    ({"resvd": ["resvd 0.1.0 (abc1234)", "compiler: clang 14"]}, {},
     "compiler: then gcc 12.2.0, now clang 14"),
    ({"file_system": {"mount": "/", "type": "tmpfs"}}, {},
     "file system.type: then ext4, now tmpfs"),
    ({}, {"config_digest": "b" * 64}, "config digest: then aaaaaaaaaaaa, now bbbbbbbbbbbb"),
    ({}, {"seconds": 1}, "seconds: then 5, now 1"),
])
def test_another_may_not(tmp_path, facts, parameters, wanted):
    journal = begin(tmp_path)
    before = journal.path.read_text()
    with pytest.raises(resume.ResumeError) as caught:
        check(resume.Journal.load(journal.path), facts, parameters)
    text = str(caught.value)
    assert text.startswith(f"{journal.path} cannot be resumed") and f"\n  {wanted}" in text
    assert text.count("\n  ") == 1  # that alone
    assert "`./dev bench --scenario one --rounds 3 --folder 'a b'`" in text
    assert journal.path.read_text() == before  # it may be tried again


def test_all_that_differs_is_named(tmp_path):
    with pytest.raises(resume.ResumeError) as caught:
        check(resume.Journal.load(begin(tmp_path).path), {"kernel": "x", "commit": "y"},
              {"threads": 9})
    assert str(caught.value).count("\n  ") == 3


@pytest.mark.parametrize("text, wanted", [
    ("", "not JSON"), ("{", "not JSON"), ("[]", "is not the state of an unfinished run"),
    ('{"schema": 4}', "is not the state of an unfinished run"),
    ('{"unfinished": 2}', "has the format 2, this program writes 1"),
    ('{"unfinished": 1}', '"arguments" is missing'),
])
def test_files_that_are_no_state(tmp_path, text, wanted):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(resume.ResumeError, match=wanted):
        resume.Journal.load(path)
    with pytest.raises(resume.ResumeError, match="No such file"):
        resume.Journal.load(tmp_path / "none.json")


def test_a_state_is_no_result(tmp_path):
    with pytest.raises(comparison.Unreadable, match="unfinished run, no result; ./dev bench"):
        comparison.read(begin(tmp_path).path)


# --- the tree -------------------------------------------------------------------------------------


def test_tree_digest_sees_all_that_is_not_committed(tmp_path):
    top = tmp_path / "tree"
    (top / "results").mkdir(parents=True)
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith("GIT_")}
    for command in (["init", "-q"], ["add", "-A"],
                    ["-c", "user.name=x", "-c", "user.email=x@localhost", "commit", "-q", "-m",
                     "x"]):
        (top / "a.c").write_text("one\n")
        try:
            subprocess.run(["git", *command], cwd=top, check=True, env=environment)
        except FileNotFoundError:
            pytest.skip("git is not there")

    def digest():
        return resume.tree_digest(top, top / "results")

    seen = [digest()]
    assert seen[0] == digest()
    (top / "results" / "unfinished-x.json").write_text("{}")
    os.utime(top / "a.c", (1, 1))
    assert digest() == seen[0]  # the results do not count, nor times
    (top / "a.c").write_text("two\n")
    seen.append(digest())
    (top / "a.c").write_bytes(b"\xff\x00")
    seen.append(digest())
    (top / "a.c").write_text("one\n")
    (top / "b.c").write_text("new\n")
    seen.append(digest())
    (top / "b.c").write_text("newer\n")
    seen.append(digest())
    assert len(set(seen)) == len(seen)
    (top / "b.c").unlink()
    assert digest() == seen[0]


def test_the_facts_of_a_result_are_not_changed_by_the_check(tmp_path):
    facts, parameters = copy.deepcopy(FACTS), copy.deepcopy(PARAMETERS)
    journal = resume.Journal.load(begin(tmp_path).path)
    resume.check_same(journal.path, journal.state, facts, parameters)
    assert facts == FACTS and parameters == PARAMETERS
    assert json.loads(json.dumps(journal.state)) == journal.state


# --- a server that fails under test ---------------------------------------------------------------


class FailingSession(Session):
    """Of three cases the second one's server fails."""

    seconds = 1

    def __init__(self, failing):
        super().__init__()
        self.failing = failing
        self.asked = []

    def begin_round(self):
        pass

    def measure(self, case):
        self.asked.append(case.key)
        if case.key == self.failing:
            raise servers.ServerError("it ended with 1:\na log of many lines")
        return {"requests_per_second": 1.0}


def test_a_failure_is_one_of_its_measurement_and_is_not_tried_again(tmp_path):
    run = bench_run.load()
    cases = plan.make_cases(["one"])[:3]
    session = FailingSession(cases[1].key)
    journal = begin(tmp_path)
    said = io.StringIO()
    run.measure_rounds(session, cases, 2, progress.Progress(10, said), journal)
    assert session.asked.count(cases[0].key) == session.asked.count(cases[2].key) == 2
    assert session.asked.count(cases[1].key) == 1 and session.failed == [cases[1].key]
    assert session.violations == [f"{cases[1].title}: a measurement failed: it ended with 1:"]
    assert "a log of many lines" in said.getvalue()
    assert journal.rounds[0]["measurements"][cases[1].key] is None
    assert all(entry["complete"] for entry in journal.rounds)
