"""The benchmark of optimizer steps, on a model of which a step takes no time."""

import importlib
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
TINY = {"hidden_size": 16, "num_layers": 1, "vocab_size": 64, "num_rounds": 2, "num_warmup_rounds": 1}


@pytest.fixture
def optimizers(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module("benchmarks.optimizers")


def test_every_contender_is_timed_and_its_state_counted(optimizers):
    goals, timed = optimizers.run(**TINY).tables
    assert len(goals.rows) == 4
    rows = {row["optimizer"]: row for row in timed.rows if "step_ms" in row}
    assert rows["torch AdamW, fused"]["ratio"] == 1.0
    assert all(row["step_ms"] > 0 for row in rows.values())
    num_matrices, num_embeddings, num_vectors = 4 * 16 * 16 + 3 * 16 * 43, 64 * 16, 3 * 16
    num_parameters = num_matrices + num_embeddings + num_vectors
    buffers = {"torch AdamW, fused": 2, "lamb": 2, "lion": 1, "muon": 2 - num_matrices / num_parameters}
    for name, count in buffers.items():
        # Beside its buffers, AdamW counts steps in 4 bytes for each of the 12 tensors.
        assert rows[name]["state_bytes"] == pytest.approx(4 * count, abs=4 * 12 / num_parameters)
    assert rows["torch Muon + AdamW, fused"]["state_bytes"] == pytest.approx(rows["muon"]["state_bytes"])


def test_a_peer_that_is_not_installed_is_a_row_that_says_so(optimizers, monkeypatch):
    monkeypatch.setitem(sys.modules, "pytorch_optimizer", None)
    goals, timed = optimizers.run(**TINY).tables
    (row,) = [row for row in timed.rows if "note" in row]
    assert row["optimizer"] == "pytorch_optimizer Lamb"
    assert "pytorch_optimizer" in row["note"]
    assert [goal["goal"].partition(" / ")[0] for goal in goals.rows] == ["lamb", "muon", "muon"]


def step_times(optimizers, *, on_cpu: bool):
    """Three turns; in the second everything takes ten times as long."""
    steps = {"torch AdamW, fused": 1.0, "lamb": 1.5, "pytorch_optimizer Lamb": 6.0, "muon": 8.0,
             "torch Muon + AdamW, fused": 10.0}  # fmt: skip
    seconds = {name: [step, 10 * step, step * (1 + 0.1 * turn)] for turn, (name, step) in enumerate(steps.items())}
    timing = importlib.import_module("benchmarks.timing.optimizer_steps")
    matrices = {(256, 256): 48, (688, 256): 24}
    return timing.StepTimes(seconds, dict.fromkeys(steps, 8.0), {}, matrices, on_cpu)


def test_goals_are_ratios_to_the_actual_peer_within_a_turn(optimizers):
    rows = [goal.row() for goal in optimizers.goals_of(step_times(optimizers, on_cpu=True))]
    assert [(row["goal"], row["at_most"], row["seen"], row["verdict"]) for row in rows] == [
        ("lamb / torch AdamW, fused", 2.0, 1.5, "met"),
        ("lamb / pytorch_optimizer Lamb", 0.5, 0.25, "met"),
        ("muon / torch Muon + AdamW, fused", 1.0, 0.8, "met"),
        ("muon / torch Muon + AdamW, fused", 0.909, 0.8, "met"),
    ]
    on_gpu = optimizers.goals_of(step_times(optimizers, on_cpu=False))[-1].row()
    assert (on_gpu["at_most"], on_gpu["verdict"]) == (0.5, "missed by 60%")


def test_how_many_matrices_share_a_shape_is_said(optimizers):
    assert optimizers.shapes_of(step_times(optimizers, on_cpu=False)).endswith("48 of 256x256, 24 of 688x256.")
    (said,) = optimizers.run(**TINY).remarks
    assert said.endswith("there are 4 of 16x16, 2 of 43x16, 1 of 16x43.")
