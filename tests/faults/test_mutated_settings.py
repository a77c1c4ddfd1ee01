import pytest

from scripts.benchmarks.fault_drills import settings
from scripts.pretrain import main


@pytest.mark.parametrize("seeds", [range(30), range(30, 60)])
def test_whatever_settings_say_the_answer_is_lines_and_exit_code_2(tmp_path, seeds):
    outcomes = [settings.drill(main, tmp_path, seed=seed) for seed in seeds]
    assert [outcome for outcome in outcomes if outcome.problem] == []
