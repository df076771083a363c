"""Comparing runs: intervals against values checked by hand, what is refused, what is warned of; and
two builds in turns, once for real, a second each."""

import itertools
import json
import math
import os
import pathlib
import random
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))

import against
import comparison
import facts
import plan
import servers
import summary

TOP = pathlib.Path(__file__).resolve().parents[2]
RATE, P99, CPU = comparison.FIELDS


# --- statistics -----------------------------------------------------------------------------------


@pytest.mark.parametrize("count, other_count, wanted", [
    (1, 1, [1, 1]),
    (2, 2, [1, 1, 2, 1, 1]),
    (2, 3, [1, 1, 2, 2, 2, 1, 1]),
    (3, 3, [1, 1, 2, 3, 3, 3, 3, 2, 1, 1]),
])
def test_rank_sum_weights(count, other_count, wanted):
    assert comparison.rank_sum_weights(count, other_count) == wanted


@pytest.mark.parametrize("count, other_count", [*itertools.product(range(1, 6), repeat=2)])
def test_rank_sum_weights_are_those_of_all_orders(count, other_count):
    found = [0] * (count * other_count + 1)
    for places in itertools.combinations(range(count + other_count), count):
        found[sum(places) - sum(range(count))] += 1
    assert comparison.rank_sum_weights(count, other_count) == found


@pytest.mark.parametrize("weights, depth, sure", [
    (comparison.rank_sum_weights(5, 5), 3, 1 - 2 * 4 / 252),
    (comparison.rank_sum_weights(3, 3), 1, 0.9),
    (comparison.rank_sum_weights(2, 2), 1, 1 - 2 / 6),
    (comparison.rank_sum_weights(1, 1), 1, 0.0),
    (comparison.sign_weights(1), 1, 0.0),
    (comparison.sign_weights(7), 1, 1 - 2 / 128),
    (comparison.sign_weights(9), 2, 1 - 2 * 10 / 512),
])
def test_interval_is_the_innermost_that_is_sure_enough(weights, depth, sure):
    values = list(range(1, len(weights)))
    low, high, found = comparison.interval(values, weights)
    assert (low, high) == (depth, len(values) + 1 - depth)
    assert found == pytest.approx(sure)


@pytest.mark.parametrize("count", range(1, 9))
def test_few_pairs_have_the_range_as_interval(count):
    values = sorted(1.1 ** i for i in range(count))
    found = comparison.paired_ratio([1.0] * count, values)
    assert (found["low"], found["high"]) == pytest.approx((min(values), max(values)))
    assert found["confidence"] == pytest.approx(summary.confidence_of_range(count))


def test_unpaired_ratio():
    # All ratios: 1/2 1 1 2 2 2 4 4 8.
    found = comparison.unpaired_ratio([1, 2, 4], [4, 2, 8])
    assert (found["ratio"], found["low"], found["high"]) == pytest.approx((2, 0.5, 8))
    assert found["confidence"] == pytest.approx(0.9)
    # 5 against 5, all of the ones below: the third from each end of 25.
    found = comparison.unpaired_ratio([1, 2, 3, 4, 5], [10, 20, 30, 40, 50])
    assert (found["ratio"], found["low"], found["high"]) == pytest.approx((10, 10 / 3, 30))
    assert found["confidence"] == pytest.approx(0.968, abs=0.001)


def test_the_interval_holds_the_true_ratio_as_often_as_it_says():
    chance = random.Random(7)
    wanted, runs = 1 - 2 * 4 / 252, 2000
    for true in (1.0, 1.3):
        hits = 0
        for _ in range(runs):
            before = [chance.lognormvariate(0, 0.2) for _ in range(5)]
            now = [true * chance.lognormvariate(0, 0.2) for _ in range(5)]
            found = comparison.unpaired_ratio(before, now)
            hits += found["low"] <= true <= found["high"]
        assert hits / runs == pytest.approx(wanted, abs=0.015)


@pytest.mark.parametrize("low, high, field, verdict, text", [
    (1.1, 1.3, RATE, "better", "faster"), (0.7, 0.9, RATE, "worse", "slower"),
    (1.1, 1.3, P99, "worse", "slower"), (0.7, 0.9, P99, "better", "faster"),
    (1.1, 1.3, CPU, "worse", "more CPU"), (0.7, 0.9, CPU, "better", "less CPU"),
    (0.9, 1.1, RATE, "none", "no difference shown"),
    (1.0, 1.2, RATE, "none", "no difference shown"),
])
def test_verdict(low, high, field, verdict, text):
    found = {"low": low, "high": high, "confidence": 0.97}
    assert comparison.verdict_of(found, field) == (verdict, text)
    found["confidence"] = 0.75
    assert comparison.verdict_of(found, field) == ("unknown", "too few rounds to tell")


# --- documents ------------------------------------------------------------------------------------

FACTS = {
    "date": "2026-11-23T01:00:00+00:00", "commit": "abc1234", "tree_is_clean": True,
    "resvd": ["resvd 0.1.0 (abc1234)", "compiler: gcc 12.2.0", "libraries: libuv 1.44.2"],
    "cpu": "AMD EPYC", "cores": 2, "memory_mib": 24105, "kernel": "Linux 6.1", "sync_us": 200.0,
    "mariadb": {"version": "10.11.19", "log_bin": "OFF"}, "lock_nodes": None,
}
PARAMETERS = {"seconds": 5, "threads": 1, "rounds": 5, "config_digest": "a" * 64}
KEY = "one/64 connections/grouped"


def document_of(measurements, facts=None, parameters=None, schema=4):
    """`measurements`: by key, one of each round."""
    count = max(map(len, measurements.values()), default=0)
    return {
        "schema": schema, "facts": {**FACTS, **(facts or {})},
        "parameters": {**PARAMETERS, **(parameters or {})}, "warnings": [], "violations": [],
        "rounds": [{"number": number + 1, "measurements": {
            key: values[number] for key, values in measurements.items()}}
            for number in range(count)],
    }


def rates(*values, **further):
    return [{"requests_per_second": value, **further} for value in values]


def only_line(before, now, field="rate /s"):
    lines = [line for line in comparison.compare(before, now)["lines"] if line["field"] == field]
    assert len(lines) == 1
    return lines[0]


def test_faster_slower_or_neither():
    slow = document_of({KEY: rates(100, 101, 102, 103, 104)})
    fast = document_of({KEY: rates(120, 121, 122, 123, 124)})
    wide = document_of({KEY: rates(80, 90, 100, 110, 120)})
    assert only_line(slow, fast)["text"] == "faster"
    assert only_line(fast, slow)["text"] == "slower"
    assert only_line(slow, wide)["text"] == "no difference shown"
    line = only_line(slow, fast)
    assert line["ratio"] == pytest.approx(1.196, abs=0.001) and line["medians"] == [102, 122]
    assert line["low"] > 1 and line["rounds"] == [5, 5]


def test_a_run_compared_with_itself_shows_no_difference():
    found = sorted(TOP.glob("bench/results/*/*.json"))
    assert found
    for path in found:
        document = comparison.read(path)
        lines = comparison.compare(document, document)["lines"]
        assert {line["verdict"] for line in lines} == {"none"}, path
        assert all(line["ratio"] == pytest.approx(1) for line in lines)
        with_rate = {line["key"] for line in lines if line["field"] == "rate /s"}
        assert with_rate == {  # skipped is who was too slow to be asked
            key for entry in document["rounds"] for key, found in entry["measurements"].items()
            if found and "skipped" not in found and not key.startswith(("isolation/", "deadlock/"))}


def test_raw_loops_have_names_of_their_own():
    measured = [{"rows_per_second": value, "cpu_seconds_per_1000": 10 / value}
                for value in (100, 101, 102, 103, 104)]
    document = document_of({"sqlite/10 rows a transaction/loop": measured})
    assert [line["field"] for line in comparison.compare(document, document)["lines"]] == [
        "rate /s", "CPU s per 1,000"]


def test_of_the_stampede_what_was_granted_is_compared():
    """A server that refuses at once is not faster."""
    key = f"{plan.STAMPEDE}/{plan.STAMPEDE_LOAD}/grouped"
    before = document_of({key: rates(*[100] * 5, granted_per_second=80)})
    now = document_of({key: rates(*[900] * 5, granted_per_second=20)})
    line = only_line(before, now)
    assert line["text"] == "slower" and line["medians"] == [80, 20]
    assert "is what was granted" in comparison.markdown(comparison.compare(before, now))
    now["rounds"][0]["measurements"][key]["granted_per_second"] = "many"
    assert "granted_per_second" in comparison.what_is_wrong(now)
    other = document_of({KEY: rates(1, 2, 3)})
    assert "was granted" not in comparison.markdown(comparison.compare(other, other))


def test_rounds_that_were_not_measured_are_left_out():
    measured = rates(100, 101, 102, 103) + [None]
    measured[1]["requests_per_second"] = None
    line = only_line(document_of({KEY: measured}), document_of({KEY: rates(1, 2, 3, 4, 5)}))
    assert line["rounds"] == [3, 5]


def test_measurements_and_fields_of_only_one_run():
    before = document_of({KEY: rates(100, 101, 102, p99_ms=4.0), "ten/x/grouped": rates(1, 2, 3),
                          "ten/y/grouped": rates(1, 2, 3), "http/x/resvd": [None, None, None]})
    now = document_of({KEY: rates(100, 101, 102), "http/x/resvd": rates(1, 2, 3)})
    found = comparison.compare(before, now)
    assert "only in A: 2 of ten" in found["warnings"]
    assert "only in B: 1 of http" in found["warnings"]
    assert [line["field"] for line in found["lines"]] == ["rate /s", "p99 ms"]
    assert found["lines"][1]["text"] == "not comparable: no value in B"
    nothing = comparison.compare(before, document_of({}))
    assert "no measurement is in both" in nothing["warnings"] and nothing["lines"] == []
    assert "no measurement is in both" in comparison.markdown(nothing)


def test_a_rate_of_nothing_is_no_ratio():
    line = only_line(document_of({KEY: rates(1, 2, 3)}), document_of({KEY: rates(1, 0, 3)}))
    assert (line["verdict"], line["text"]) == ("unknown", "not comparable: a round of 0 in B")


def test_pairs_of_one_run_do_not_see_the_machine():
    """It was half as quick in some rounds: their ratios are the same, their rates are not."""
    before, now = rates(100, 50, 98, 52, 101, 49, 99), rates(90, 46, 89, 46, 90, 45, 88)
    alone = only_line(document_of({KEY: before}), document_of({KEY: now}))
    assert alone["text"] == "no difference shown"
    parameters = {"interleaved_run": "2026-11-23T01:00:00"}
    line = only_line(document_of({KEY: before}, parameters=parameters),
                     document_of({KEY: now}, parameters=parameters))
    assert line["text"] == "slower" and line["confidence"] == pytest.approx(1 - 2 ** -6)
    assert line["low"] == pytest.approx(46 / 52) and line["high"] == pytest.approx(0.92)
    before[3] = None  # its partner has no ratio then
    line = only_line(document_of({KEY: before}, parameters=parameters),
                     document_of({KEY: now}, parameters=parameters))
    assert line["rounds"] == [6, 6] and line["low"] == pytest.approx(88 / 99)


def test_two_rounds_are_too_few():
    line = only_line(document_of({KEY: rates(1, 2)}), document_of({KEY: rates(100, 200)}))
    assert line["text"] == "too few rounds to tell"


def test_a_busy_load_generator_is_marked():
    before = document_of({KEY: rates(1, 2, 3, generator_limited=False)})
    now = document_of({KEY: rates(1, 2, 3, generator_limited=True)})
    text = comparison.markdown(comparison.compare(before, now))
    assert "no difference shown ⚠" in text and "⚠: the load generator" in text
    assert "⚠" not in comparison.markdown(comparison.compare(before, before))


def test_older_names_of_scenarios(tmp_path):
    old = document_of({"hot/64 connections/grouped": rates(1, 2, 3)}, schema=3)
    new = document_of({"hot/1000/s/grouped": rates(1, 2, 3)})
    for document, wanted in ((old, KEY), (new, "hot/1000/s/grouped")):
        path = tmp_path / "x.json"
        path.write_text(json.dumps(document))
        assert comparison.keys_of(comparison.read(path)) == [wanted]


# --- what is warned of ----------------------------------------------------------------------------


def warnings_between(before, now):
    return comparison.compare(before, now)["warnings"]


def test_nothing_is_warned_of_when_only_the_commit_is_another():
    now = document_of({KEY: rates(1, 2, 3)}, facts={
        "date": "later", "commit": "def5678", "sync_us": 260.0, "memory_mib": 24120,
        "resvd": ["resvd 0.1.0 (def5678)", *FACTS["resvd"][1:]]}, parameters={"rounds": 3})
    assert warnings_between(document_of({KEY: rates(1, 2, 3)}), now) == []


@pytest.mark.parametrize("facts, parameters, wanted", [
    ({"cpu": "Xeon"}, {}, "cpu differs: A has AMD EPYC, B has Xeon"),
    ({"kernel": "Linux 6.2"}, {}, "kernel differs: A has Linux 6.1, B has Linux 6.2"),
    ({"memory_mib": 8000}, {}, "memory mib differs: A has 24105, B has 8000"),
    ({"resvd": ["resvd 0.1.0 (x)", "compiler: clang 14", "libraries: libuv 1.44.2"]}, {},
     "compiler differs: A has gcc 12.2.0, B has clang 14"),
    ({"mariadb": {"version": "11.4", "log_bin": "OFF"}}, {},
     "mariadb.version differs: A has 10.11.19, B has 11.4"),
    ({"mariadb": None, "lock_nodes": {"version": "7"}}, {}, None),  # another did not need it
    ({"sync_us": 400.0}, {}, "the disk was not as quick: 4 KiB synced in 200 µs in A, in 400 µs "
                             "in B"),
    ({}, {"seconds": 2}, "seconds differs: A has 5, B has 2"),
    ({}, {"config_digest": "b" * 64}, "config digest differs: A has aaaaaaaaaaaa, B has "
                                      "bbbbbbbbbbbb"),
])
def test_what_differs_is_named(facts, parameters, wanted):
    before = document_of({KEY: rates(1, 2, 3)})
    now = document_of({KEY: rates(1, 2, 3)}, facts, parameters)
    assert warnings_between(before, now) == ([wanted] if wanted else [])


def test_the_runs_own_warnings_are_not_lost():
    before, now = (document_of({KEY: rates(1, 2, 3)}) for _ in range(2))
    before["warnings"] = ["the build is not optimized"]
    now["violations"] = ["one: lost", "ten: lost"]
    assert warnings_between(before, now) == [
        "A: the build is not optimized", "B failed its audit: one: lost (and 1 more)"]


# --- files ----------------------------------------------------------------------------------------


def spoiled(change):
    document = document_of({KEY: rates(1, 2, 3)})
    change(document)
    return json.dumps(document)


def set_rate(value):
    def change(document):
        document["rounds"][1]["measurements"][KEY]["requests_per_second"] = value
    return change


@pytest.mark.parametrize("text, wanted", [
    ("", "not JSON: Expecting value: line 1 column 1 (char 0)"),
    ('{"schema": 3,', "not JSON: Expecting property name"),
    ("[" * 100_000, "nested too deeply"),
    ("1" * 5000, "not JSON: Exceeds the limit"),
    ("[]", "not a result of ./dev bench: no object"),
    ("{}", '"schema" is null, and 1 to 4 are known'),
    (spoiled(lambda document: document.update(schema=5)), '"schema" is 5, and 1 to 4 are known'),
    (spoiled(lambda document: document.update(schema=True)), '"schema" is true'),
    (spoiled(lambda document: document.pop("facts")), '"facts" is not there or no object'),
    (spoiled(lambda document: document.update(rounds={})), '"rounds" is not there or no array'),
    (spoiled(lambda document: document.update(warnings="x")), '"warnings" is no array'),
    (spoiled(lambda document: document["rounds"].insert(1, {})), 'round 2 has no "measurements"'),
    (spoiled(lambda document: document["rounds"][2]["measurements"].update({KEY: 7})),
     f'round 3, "{KEY}": no object'),
    (spoiled(set_rate("many")), f'round 2, "{KEY}": requests_per_second is "many", no number'),
    (spoiled(set_rate(-1)), "requests_per_second is -1, no number of 0 or more"),
    (spoiled(set_rate(math.nan)), "requests_per_second is NaN, no number"),
    (spoiled(set_rate(True)), "requests_per_second is true, no number"),
    (spoiled(set_rate(10 ** 400)), "no number of 0 or more"),
    ('{"unfinished": 1}', "the state of an unfinished run"),
    (spoiled(lambda document: document.update(kind="against")), "holds its comparison"),
])
def test_unreadable_input(tmp_path, capsys, text, wanted):
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(json.dumps(document_of({KEY: rates(1, 2, 3)})))
    bad.write_text(text)
    assert comparison.main(good, bad) == comparison.main(bad, good) == 65
    captured = capsys.readouterr()
    assert captured.out == "" and f"bench: {bad}: " in captured.err and wanted in captured.err


def test_unreadable_files(tmp_path, capsys):
    good = tmp_path / "good.json"
    good.write_text(json.dumps(document_of({KEY: rates(1, 2, 3)})))
    latin = tmp_path / "latin.json"
    latin.write_bytes(b'{"a": "\xe4"}')
    for bad, wanted in ((tmp_path / "none.json", "No such file or directory"),
                        (tmp_path, "Is a directory"), (latin, "not UTF-8 at byte 7")):
        assert comparison.main(good, bad) == 65
        assert f"bench: {bad}: {wanted}" in capsys.readouterr().err


def test_main_prints_a_table_and_writes_the_same(tmp_path, capsys):
    paths = []
    for name, measured in (("a", rates(100, 101, 102)), ("b", rates(120, 121, 122))):
        paths.append(tmp_path / f"{name}.json")
        paths[-1].write_text(json.dumps(document_of(
            {KEY: measured}, {"kernel": f"Linux {name}"})))
    assert comparison.main(*paths, out=tmp_path / "out") == 0
    text = capsys.readouterr().out
    assert f"| {KEY} | rate /s | 101 | 121 | 1.198 | 1.176–1.220 | 90.0% | 3 : 3 | faster |" in text
    assert "kernel differs: A has Linux a, B has Linux b" in text and "Mann-Whitney" in text
    written = json.loads((tmp_path / "out" / "b-compared-with-a.json").read_text())
    assert written["lines"][0]["verdict"] == "better" and written["paired"] is False
    assert comparison.main(*reversed(paths)) == 0  # slower is no failure
    assert "slower" in capsys.readouterr().out


# --- another commit's build -----------------------------------------------------------------------

MESON = """\
project('tiny', 'c', default_options: ['werror=true'])
if not import('fs').is_file('.cache' / 'llhttp-1' / 'x.h')
  error('there is no llhttp')
endif
resvd = executable('resvd', 'main.c')
subdir('tests')
"""
MAIN = """\
#include <stdio.h>
int main(void) { puts("tiny %s\\ncompiler: gcc 1"); return 0; }
"""


def git(folder, *arguments):
    run = subprocess.run(
        ["git", "-c", "user.name=x", "-c", "user.email=x@localhost", *arguments], cwd=folder,
        check=True, stdout=subprocess.PIPE, text=True,
        env={name: value for name, value in os.environ.items() if not name.startswith("GIT_")})
    return run.stdout.strip()


def commit_tree(folder, text):
    (folder / "main.c").write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "x")


@pytest.fixture
def repository(tmp_path):
    """Three commits: one that can be built, one that cannot, one that is built already."""
    for program in ("git", "meson", "ninja", "gcc"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not there")
    top = tmp_path / "tree"
    (top / "tests").mkdir(parents=True)
    (top / ".cache" / "llhttp-1").mkdir(parents=True)
    (top / ".cache" / "llhttp-1" / "x.h").touch()
    (top / ".gitignore").write_text("/.cache/\n/build/\n")
    (top / "meson.build").write_text(MESON)
    (top / "tests" / "meson.build").write_text("executable('resvd-fake', '../main.c')\n")
    git(top, "init", "-q")
    commit_tree(top, MAIN % "one")
    commit_tree(top, "int main(void) { return nothing; }\n")
    commit_tree(top, MAIN % "three")
    subprocess.run(["meson", "setup", "build", "-Dbuildtype=plain", "-Doptimization=1"], cwd=top,
                   check=True, stdout=subprocess.DEVNULL,
                   env={**os.environ, "CC": "gcc", "CFLAGS": "-DTWO -DWORDS"})
    subprocess.run(["ninja", "-C", "build"], cwd=top, check=True, stdout=subprocess.DEVNULL)
    return top


def test_another_commit_is_built_as_this_one_was(repository):
    said = []
    built = against.build_other("HEAD^^", repository / "build", repository, said.append)
    assert facts.output_of(str(built.folder / "resvd")).startswith("tiny one")
    assert (built.folder / "tests" / "resvd-fake").is_file()
    assert built.commit == git(repository, "rev-parse", "--short", "HEAD^^")
    assert len(said) == 1 and str(built.folder) in said[0]
    options = {option["name"]: option["value"] for option in json.loads(
        (built.folder / "meson-info" / "intro-buildoptions.json").read_text())}
    assert options["optimization"] == "1" and options["werror"] is True
    assert options["c_args"] == ["-DTWO", "-DWORDS"]
    assert git(repository, "status", "--porcelain") == ""
    # What is there already is taken as it is.
    before = (built.folder / "resvd").stat().st_mtime_ns
    again = against.build_other("HEAD^^", repository / "build", repository, said.append)
    assert again.folder == built.folder and len(said) == 1
    assert (again.folder / "resvd").stat().st_mtime_ns == before


@pytest.mark.parametrize("commit, wanted", [
    ("HEAD^", "ninja failed:"), ("HEAD^^^", "there is no commit HEAD^^^ in"),
    ("--all", "there is no commit --all in"),
])
def test_a_commit_that_cannot_be_built(repository, commit, wanted):
    with pytest.raises(against.Unavailable, match=wanted.replace("^", r"\^")) as caught:
        against.build_other(commit, repository / "build", repository, lambda text: None)
    if commit == "HEAD^":
        assert "nothing" in str(caught.value)  # what the compiler did not like


def test_only_some_builds_are_kept(tmp_path):
    for number in range(against.BUILDS_KEPT + 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        os.utime(folder, (number, number))
    (tmp_path / "lock").touch()
    against.forget_oldest(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2", "3", "4", "5", "lock"]


# --- two builds in turns --------------------------------------------------------------------------


class Scripted:
    """A session whose measurements say in which order they were taken."""

    def __init__(self, label, told, broken=()):
        self.label, self.told, self.broken, self.violations = label, told, broken, []

    def measure(self, case):
        self.told.append((case.scenario, self.label))
        if self.label in self.broken:
            raise servers.ServerError("it died")
        return {"requests_per_second": 100.0}


class Silent:
    """Progress that nobody sees."""

    def begin(self, title):
        pass

    def end(self, seconds):
        pass


def scripted_pairs(told, broken=()):
    return [(against.Build(label, label, pathlib.Path("/nowhere")),
             Scripted(label, told, broken)) for label in against.LABELS]


def test_builds_are_measured_in_turns():
    told, cases = [], against.cases_of([])
    assert [case.key for case in cases] == [
        "embedded/64 connections/resvd", "http/64 connections/resvd"]
    pairs = scripted_pairs(told)
    against.measure_rounds(pairs, cases, 2, 1, Silent())
    assert told == [("embedded", "before"), ("embedded", "now"), ("http", "before"),
                    ("http", "now"), ("http", "now"), ("http", "before"), ("embedded", "now"),
                    ("embedded", "before")]
    assert [len(build.rounds) for build, _ in pairs] == [2, 2]


@pytest.mark.parametrize("broken", against.LABELS)
def test_what_fails_is_not_tried_again(broken):
    told = []
    pairs = scripted_pairs(told, broken=(broken,))
    against.measure_rounds(pairs, against.cases_of([])[:1], 3, 1, Silent())
    failed = {build.label: build.failed for build, _ in pairs}
    assert len(told) <= 2 and list(failed[broken]) == ["embedded/64 connections/resvd"]
    assert "it died" in failed[broken]["embedded/64 connections/resvd"]


def test_further_strategies_are_asked_for_by_name():
    keys = [case.key for case in against.cases_of(["grouped", "embedded"])]
    assert keys[2:] == [plan.key_of("one", "64 connections", "grouped")]


def built_or_skip():
    folder = pathlib.Path(os.environ["RESVD_BUILD_DIR"])
    build = against.Build("now", "this", folder)
    for name, path in build.tools.items():
        if not path or not pathlib.Path(path).is_file():
            pytest.skip(f"{name} is not there")
    return folder


def test_a_build_against_itself(tmp_path, monkeypatch, capsys):
    """Once for real: ratios near 1, an audit after each run, and what the caller is told."""
    folder = built_or_skip()
    before = against.Build("before", "that", folder)
    monkeypatch.setattr(against, "build_other", lambda *_, **__: before)
    assert against.main("HEAD^", folder, tmp_path, tmp_path / "out", rounds=2, seconds=1) == 0
    captured = capsys.readouterr()
    assert "two builds, measured in turns" in captured.out and "sign test" in captured.out
    path, = (tmp_path / "out").iterdir()
    document = json.loads(path.read_text())
    lines = document["comparison"]["lines"]
    assert document["comparison"]["paired"] is True and len(lines) == 2 * 3
    for line in lines:
        assert line["rounds"] == [2, 2] and line["text"] == "too few rounds to tell"
        assert 0.02 < line["low"] <= line["ratio"] <= line["high"] < 50
        assert line["confidence"] == pytest.approx(0.5)
    for label in against.LABELS:
        assert document[label]["violations"] == []
        for entry in document[label]["rounds"]:
            audited = entry["measurements"]["embedded/64 connections/resvd"]
            assert audited["audit"]["consistent"] and audited["violations"] == []
    # Each part is a result that can be compared with others.
    (tmp_path / "now.json").write_text(json.dumps(document["now"]))
    assert comparison.main(tmp_path / "now.json", tmp_path / "now.json") == 0


@pytest.fixture
def scripted_main(tmp_path, monkeypatch):
    """against.main with sessions that do not measure: what `spoil` does to one comes of it."""
    folder = built_or_skip()
    tools = against.Build.tools.fget
    monkeypatch.setattr(against.Build, "tools", property(
        lambda build: {**tools(build), "label": build.label}))
    monkeypatch.setattr(against, "check_tools", lambda now: None)
    monkeypatch.setattr(against, "build_other",
                        lambda *_, **__: against.Build("before", "that", folder))

    def run(spoil):
        class Session(Scripted):
            def __init__(self, tools, *_):
                super().__init__(tools["label"], [])

            def measure(self, case):
                spoil(self)
                return {"requests_per_second": 100.0, "p99_ms": 1.0}

            def close(self):
                pass

        monkeypatch.setattr(against, "Session", Session)
        return against.main("HEAD^", folder, tmp_path, tmp_path / "out", rounds=1)

    return run


@pytest.mark.parametrize("label, status", [("now", 1), ("before", 0)])
def test_only_audits_of_this_build_fail(scripted_main, capsys, label, status):
    def lose(session):
        if session.label == label:
            session.violations.append("lost: a row")

    assert scripted_main(lose) == status
    captured = capsys.readouterr()
    assert f"{label} failed its audit: lost: a row" in captured.out
    assert ("bench: lost: a row" in captured.err) == (status == 1)


@pytest.mark.parametrize("label, status", [("now", 1), ("before", 69)])
def test_only_this_build_must_be_measurable(scripted_main, capsys, label, status):
    def die(session):
        if session.label == label:
            raise servers.ServerError("it died")

    assert scripted_main(die) == status
    text = capsys.readouterr().err
    assert "a measurement failed: it died" in text
    assert ("not compared with HEAD^" in text) == (status == 69)


def test_nothing_to_compare_with(tmp_path, monkeypatch, capsys):
    folder = built_or_skip()

    def refuse(*_, **__):
        raise against.Unavailable("it does not compile")

    monkeypatch.setattr(against, "build_other", refuse)
    assert against.main("HEAD^", folder, tmp_path, tmp_path) == 69
    assert "bench: not compared with HEAD^: it does not compile" in capsys.readouterr().err
    empty = against.Build("before", "that", tmp_path)
    monkeypatch.setattr(against, "build_other", lambda *_, **__: empty)
    assert against.main("HEAD^", folder, tmp_path, tmp_path) == 69
    assert "that of that cannot do it" in capsys.readouterr().err
    assert against.main("HEAD^", tmp_path, tmp_path, tmp_path) == 69
    assert "missing: resvd" in capsys.readouterr().err
