"""What ./dev bench measures, by the scenarios and strategies that were asked for."""

import os

import pytest

import bench_run
import plan


def test_strategies_are_chosen_in_every_scenario():
    run = bench_run.load()

    def needed(*arguments):
        options = run.read_arguments(list(arguments))
        return set(run.names_needed(options, options.scenario))

    assert needed("--scenario", "stampede") == {*plan.STAMPEDE_SUBJECTS, *plan.STAMPEDE_PEERS}
    assert needed("--scenario", "stampede,one", "--strategies", "redlock-n1,peer-lock-published") \
        == {"redlock-n1", "peer-lock-published"}
    assert needed("--scenario", "async", "--strategies", "grouped") == set()
    assert {"async", "peer-lock-fair", "grouped"} < needed()
    assert needed("--strategies", "grouped") == {"grouped"}


@pytest.mark.parametrize("arguments, name", [
    (["--scenario", ""], "--scenario"), (["--scenario", ","], "--scenario"),
    (["--strategies", ""], "--strategies"), (["--against", ""], "--against"),
])
def test_an_empty_choice_is_not_everything(arguments, name, capsys):
    with pytest.raises(SystemExit) as ended:
        bench_run.load().read_arguments(arguments)
    assert ended.value.code == 2
    assert f"{name} names nothing; without it all are measured" in capsys.readouterr().err


def choose(*arguments):
    """(cases, notes) of this build."""
    run = bench_run.load()
    options = run.read_arguments([*arguments, "--build", os.environ["RESVD_BUILD_DIR"]])
    notes = []
    return run.choose_cases(options, notes), notes


def test_what_was_chosen_in_vain_is_noted():
    cases, notes = choose("--scenario", "one", "--strategies", "embedded,peer-lock-fair")
    assert {case.subject for case in cases} == {"embedded"}
    assert notes == ["peer-lock-fair is in none of one: not measured"]
    assert choose("--scenario", "one", "--strategies", "embedded")[1] == []


def test_nothing_to_measure_is_said(capsys):
    run = bench_run.load()
    options = run.read_arguments(["--scenario", "async", "--strategies", "embedded",
                                  "--build", os.environ["RESVD_BUILD_DIR"]])
    with pytest.raises(SystemExit) as ended:
        run.choose_cases(options, [])
    assert ended.value.code == run.EXIT_UNAVAILABLE
    assert "nothing to measure: async with embedded" in capsys.readouterr().err
