import pytest

from hf_strategies.planning.memory_request import parse_memory
from hf_strategies.planning.planned_model import PlannedModel
from hf_strategies.planning.process_memory import process_memory
from scripts.benchmarks.memory_use.cases import CASES, words_of
from scripts.benchmarks.memory_use.log import Measured, MemoryLog
from scripts.benchmarks.memory_use.process import tiny, train


def test_a_cases_own_flags_take_the_places_of_the_common_ones():
    words = words_of("transformer_pp, bf16")
    assert "--bf16" in words
    assert "--no_bf16" not in words
    words = words_of("transformer_pp, rows of 1,024")
    assert words.count("--max_seq_length") == 1
    assert words[words.index("--max_seq_length") + 1] == "1024"


@pytest.mark.parametrize("case", sorted(CASES))
def test_every_case_is_a_command_line(case):
    assert parse_memory(words_of(case)).arguments.job == "pretrain"


@pytest.mark.parametrize("case", ["transformer_pp, muon", "transformer_pp, 60 M, lora", "t5, span, adamw"])
def test_states_that_are_planned_are_those_of_the_run(case):
    request = parse_memory(tiny(words_of(case)))
    states = process_memory(PlannedModel(request), recompute=False).states
    measured = train(request)
    assert measured["weights"] == states.weights
    assert measured["gradients"] == states.gradients
    assert measured["optimizer"] == pytest.approx(states.optimizer, rel=0.01)  # and counts of steps


def test_a_process_that_was_measured_is_found_again(tmp_path):
    log = MemoryLog(tmp_path / "rows" / "memory.jsonl")
    row = Measured(key="--x on y", case="x", states=1, peak=2, environment={"CPU": "y"}, finished="2026-01-01")
    assert log.get("--x on y") is None
    log.add(row)
    assert MemoryLog(log.path).get("--x on y") == row
