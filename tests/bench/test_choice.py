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


def test_nothing_to_measure_is_said(capsys):
    run = bench_run.load()
    options = run.read_arguments(["--scenario", "async", "--strategies", "embedded",
                                  "--build", os.environ["RESVD_BUILD_DIR"]])
    with pytest.raises(SystemExit) as ended:
        run.choose_cases(options, [])
    assert ended.value.code == run.EXIT_UNAVAILABLE
    assert "nothing to measure: async with embedded" in capsys.readouterr().err
