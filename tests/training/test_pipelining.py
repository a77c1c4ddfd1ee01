"""Real processes over gloo: a model in stages trains, evaluates, saves and resumes as it does in one process.

All runs are forked from one process that has imported the libraries once.
"""

import json
import math
import os
import subprocess
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from hf_strategies.checkpoints.choice import stored

pytest.importorskip("deepspeed")

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("pipelined_runs.py")

SAVED = {"save_strategy": "steps", "save_steps": 2, "max_steps": 6}
NUM_EPOCH = {"num_train_epochs": 1, "max_steps": -1, "include_num_input_tokens_seen": "all", "max_grad_norm": 0.3}
TUNED = {"lora": True, "settings": {"objective": "cross_entropy", "z_loss": 1e-2}, "label_smoothing_factor": 0.1}
SCHEDULED = {
    "optimizer": {"name": "lion", "lr": 1e-3, "weight_decay": 0.1},
    "settings": {"scheduler": "warmup_stable_decay", "scheduler_kwargs": {"num_decay_steps": 2}},
}
PATIENT = {"save_strategy": "steps", "save_steps": 2, "metric_for_best_model": "loss", "load_best_model_at_end": True}
STOPPED = {**PATIENT, "learning_rate": 3e-2, "max_steps": 8, "callbacks": ["EarlyStopping"]}
BAD = {"bad": [3], "max_steps": 6}

# Each of them trains once in one process, and once in the processes that are named here.
KINDS: dict[str, dict] = {
    "epoch": {"world": 4, "stages": 2, **NUM_EPOCH},
    "middle": {"world": 3, "stages": 3, "engine": {"activation_checkpoint_interval": 1, "partition": "uniform"}},
    "windows": {"world": 2, "stages": 2, "family": "qwen2", "gradient_accumulation_steps": 4},
    "ragged": {"world": 2, "stages": 2, "ragged_rows": True, "gradient_accumulation_steps": 8},
    "tuned": {"world": 4, "stages": 2, "engine": {"activation_checkpoint_interval": 1}, **TUNED},
    "scheduled": {"world": 2, "stages": 2, **SCHEDULED},
    "free": {"world": 2, "stages": 2, "optimizer": {"name": "schedule_free_adamw", "lr": 1e-2}},
    "stopped": {"world": 2, "stages": 2, **STOPPED},
    "guarded": {"world": 2, "stages": 2, **BAD},
    "mixed": {"world": 4, "stages": 2, "mixed": True, "remove_unused_columns": False},
}
PLAIN = {"world": 2, "stages": 2}
OTHERS: dict[str, dict] = {
    "bf16": {**PLAIN, "bf16": True, "gradient_accumulation_steps": 8},
    "bf16_sums32": {**PLAIN, "bf16": True, "gradient_accumulation_steps": 8, "sums": "fp32"},
    "again": {**PLAIN, "trains": 2, "bad": [3]},
    "returned": {**PLAIN, "bad": [9, 10], "max_steps": 12, "guard": {"patience": 2, "snapshot_steps": 3}},
    "saved": {**PLAIN, **SAVED, "family": "gpt2"},  # with dropout: what follows a resume must draw the same
    "resumed": {**PLAIN, "max_steps": 6, "family": "gpt2", "resume": "saved/checkpoint-2"},
    "continued": {**PLAIN, "start": "saved", "family": "gpt2", "trains": 0},
    "adapted": {**PLAIN, **SAVED, "lora": True},
    "adapted_on": {**PLAIN, "max_steps": 6, "lora": True, "resume": "adapted/checkpoint-4"},
    "stage0": {**PLAIN, "zero": 0},
    "muon": {**PLAIN, "optimizer": {"name": "muon", "lr": 1e-3}},
    "averaged": {**PLAIN, "callbacks": ["Averaging"]},
    "twice": {**PLAIN, "settings": {"r_drop": 1.0}},
    "deep": {"world": 5, "stages": 5},
    "frozen": {**PLAIN, "frozen": "model.layers.[23]|model.norm|lm_head|embed", "family": "qwen2"},
}


@pytest.fixture(scope="module")
def runs(forked_python, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pipelines")
    tasks = []
    for name, task in KINDS.items():
        alone = {key: value for key, value in task.items() if key not in ("stages", "engine")}
        tasks += [{"name": name, **task}, {**alone, "name": f"{name}-alone", "world": 1}]
    tasks += [{"name": name, **task} for name, task in OTHERS.items()]
    done = subprocess.run(
        [forked_python, str(SCRIPT), str(folder), json.dumps(tasks)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-6000:]
    return folder


def told(runs: Path, name: str, rank: int = 0) -> dict:
    return json.loads((runs / name / f"told-{rank}.json").read_text())


def column(found: dict, name: str) -> list[float]:
    return [row[name] for row in found["log"] if name in row]


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_model_in_stages_trains_as_it_does_in_one_process(runs, kind):
    alone, staged = told(runs, f"{kind}-alone"), told(runs, kind)
    assert staged["step"] == alone["step"]
    for name in ("loss", "train_loss", "eval_loss", "eval_perplexity", "eval_bits_per_byte", "learning_rate"):
        assert column(staged, name) == pytest.approx(column(alone, name), rel=1e-5, nan_ok=True)
        assert column(staged, name)
    norms = zip(column(staged, "grad_norm"), column(alone, "grad_norm"), strict=True)
    assert all(ours == pytest.approx(theirs, rel=1e-4) for ours, theirs in norms if math.isfinite(theirs))


@pytest.mark.parametrize("kind", list(KINDS))
def test_all_processes_know_what_the_last_stage_has_found(runs, kind):
    ranks = [told(runs, kind, rank) for rank in range(KINDS[kind]["world"])]
    for name in ("eval_loss", "eval_perplexity", "eval_bits_per_byte"):
        assert len({rank["evaluated"][name] for rank in ranks}) == 1
        assert len({tuple(column(rank, name)) for rank in ranks}) == 1
    assert len({str(column(rank, "loss")) for rank in ranks}) == 1
    assert len({str(column(rank, "grad_norm")) for rank in ranks}) == 1


def test_losses_of_a_mixtures_sources_are_those_of_one_process(runs):
    alone, staged = told(runs, "mixed-alone"), told(runs, "mixed")
    for name in ("loss_few", "loss_many"):
        assert len(column(staged, name)) == 4
        assert column(staged, name) == pytest.approx(column(alone, name), rel=1e-5)
    assert column(staged, "loss_few") != pytest.approx(column(staged, "loss_many"), rel=1e-3)


def test_tokens_and_operations_are_counted_once_for_all_stages(runs):
    alone, staged = told(runs, "epoch-alone"), told(runs, "epoch")
    assert staged["tokens"] == alone["tokens"] == 68 * 16
    assert staged["flos"] == pytest.approx(alone["flos"], rel=1e-3)


@pytest.mark.parametrize("kind", ["epoch", "middle", "windows"])
def test_what_is_saved_is_an_ordinary_folder_that_one_process_loads(runs, kind):
    alone, staged = (AutoModelForCausalLM.from_pretrained(runs / name) for name in (f"{kind}-alone", kind))
    stages = KINDS[kind]["stages"]
    assert len(list((runs / kind).glob(f"model-*-of-{stages:05}.safetensors"))) == stages
    for (name, ours), theirs in zip(staged.named_parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4, msg=name)


def test_an_adapter_is_saved_whole(runs):
    from safetensors.torch import load_file

    ours, theirs = (load_file(runs / name / "adapter_model.safetensors") for name in ("tuned", "tuned-alone"))
    assert ours.keys() == theirs.keys()
    for name, weight in ours.items():
        torch.testing.assert_close(weight, theirs[name], rtol=1e-3, atol=1e-4, msg=name)


@pytest.mark.parametrize(("straight", "resumed"), [("saved", "resumed"), ("adapted", "adapted_on")])
def test_a_run_that_was_interrupted_goes_on_to_the_bit(runs, straight, resumed):
    before, after = told(runs, straight), told(runs, resumed)
    assert column(after, "loss") == column(before, "loss")
    assert column(after, "eval_loss") == column(before, "eval_loss")
    files = [path.name for path in (runs / straight).glob("*model*.safetensors")]
    assert files
    assert all((runs / straight / name).read_bytes() == (runs / resumed / name).read_bytes() for name in files)


def test_checkpoints_are_proven_and_hold_each_weight_once(runs):
    checkpoint = runs / "saved" / "checkpoint-6"
    assert stored(checkpoint).verified
    state = checkpoint / "global_step6"
    assert len(list(state.glob("*optim_states.pt"))) == 2
    assert not list(state.glob("layer_*"))


def test_a_saved_folder_is_evaluated_without_training(runs):
    assert told(runs, "continued")["evaluated"]["eval_loss"] == column(told(runs, "saved"), "eval_loss")[-1]


@pytest.mark.parametrize("name", ["bf16", "bf16_sums32"])
def test_bf16_weights_learn_much_as_others_do(runs, name):
    found, float32 = told(runs, name), told(runs, "middle")
    assert column(found, "loss") == pytest.approx(column(float32, "loss"), rel=5e-3)  # bf16 has three digits
    assert column(found, "grad_norm") == pytest.approx(column(float32, "grad_norm"), rel=0.03)
    assert column(found, "grad_norm") != pytest.approx(column(float32, "grad_norm"), rel=1e-5)
    assert AutoModelForCausalLM.from_pretrained(runs / name, dtype="auto").dtype is torch.bfloat16


def test_the_guard_skips_what_only_the_last_stage_meets(runs):
    for rank in range(2):
        for kind in ("guarded", "again"):  # the second time with another engine
            actions = told(runs, kind, rank)["actions"]
            assert {step: action for step, action in actions.items() if action != "take"} == {"3": "skip"}


def test_the_guard_goes_back_on_all_stages_together(runs):
    for rank in range(2):
        found = told(runs, "returned", rank)
        assert {step: action for step, action in found["actions"].items() if action != "take"} == {
            "9": "skip",
            "10": "rollback",
        }
        assert found["sums"]["9"] == found["sums"]["8"] != found["sums"]["3"] == found["sums"]["10"]
        assert column(found, "loss")[-1] < 5


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("stage0", "pipelines train with ZeRO stage 1, got 0: set zero_optimization.stage"),
        ("muon", "optimizer muon needs whole tensors"),
        ("averaged", "averaging"),
        ("twice", "r_drop passes twice through the whole model"),
        ("frozen", "stage 2 of 2 would have no weight to train: freeze less, or take fewer stages"),
        ("deep", "5 stages need a model of at least as many layers, got 4"),
    ],
)
def test_what_a_pipeline_cannot_do_is_refused_by_all_processes_in_a_line(runs, name, said):
    for rank in range(OTHERS[name]["world"]):
        refused = told(runs, name, rank)["refused"]
        assert said in refused
        assert "\n" not in refused
