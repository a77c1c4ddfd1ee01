import json
import resource
import shutil
from pathlib import Path

import pytest
import torch
from transformers import TrainingArguments

from hf_strategies import OptimizerFactory, StrategyTrainer
from hf_strategies.checkpoints.manifest import damages, read_manifest
from hf_strategies.errors import UserError


def train(model, rows, folder, **settings):
    args = TrainingArguments(
        folder, use_cpu=True, report_to="none", disable_tqdm=True, save_strategy="steps",
        **{"save_steps": 2, "max_steps": 6, "per_device_train_batch_size": 2, **settings},
    )  # fmt: skip
    hyper = {"name": "adamw", "lr": 1e-3}
    trainer = StrategyTrainer(model, args, train_dataset=rows, optimizer_cls_and_kwargs=(OptimizerFactory, hyper))
    trainer.train()
    return trainer


def checkpoints(folder):
    return sorted(path.name for path in Path(folder).glob("*checkpoint-*"))


def test_every_checkpoint_proves_that_it_is_whole(tiny_lm, token_rows, tmp_path):
    train(tiny_lm, token_rows, tmp_path)
    assert checkpoints(tmp_path) == ["checkpoint-2", "checkpoint-4", "checkpoint-6"]
    for step in (2, 4, 6):
        folder = tmp_path / f"checkpoint-{step}"
        assert damages(folder) == []
        manifest = read_manifest(folder)
        assert (manifest["step"], manifest["samples"], manifest["world_size"]) == (step, 2 * step, 1)
        names = {"model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json"}
        assert names | {"position.json"} <= manifest["files"].keys()
    assert not (tmp_path / ".saving").exists()


def test_two_whole_ones_are_kept_and_the_best(tiny_lm, token_rows, tmp_path):
    trainer = train(tiny_lm, token_rows, tmp_path, save_steps=1, save_total_limit=1)
    assert checkpoints(tmp_path) == ["checkpoint-5", "checkpoint-6"]
    assert trainer.state.best_model_checkpoint is None


def test_the_best_checkpoint_goes_by_its_final_name(tiny_lm, token_rows, tmp_path):
    args = TrainingArguments(
        tmp_path, use_cpu=True, report_to="none", disable_tqdm=True, max_steps=6, save_strategy="steps", save_steps=2,
        eval_strategy="steps", eval_steps=2, learning_rate=1.0, load_best_model_at_end=True, save_total_limit=2,
        metric_for_best_model="loss", greater_is_better=True,
    )  # fmt: skip
    trainer = StrategyTrainer(tiny_lm, args, train_dataset=token_rows, eval_dataset=token_rows)
    trainer.train()  # at such a rate the loss is largest at the first evaluation
    assert Path(trainer.state.best_model_checkpoint) == tmp_path / "checkpoint-2"
    assert checkpoints(tmp_path) == ["checkpoint-2", "checkpoint-4", "checkpoint-6"]
    for step in (2, 6):
        stored = json.loads((tmp_path / f"checkpoint-{step}" / "trainer_state.json").read_text())
        assert Path(stored["best_model_checkpoint"]) == tmp_path / "checkpoint-2"
        assert damages(tmp_path / f"checkpoint-{step}") == []


def test_a_disk_that_is_full_costs_no_step_and_no_earlier_checkpoint(
    tiny_lm, token_rows, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("hf_strategies.training.checkpointing.RETRY_UPDATES", 1)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    real = StrategyTrainer._save_checkpoint
    asked = []

    def save(self, model, trial):
        step = self.state.global_step
        asked.append(step)
        limit = 1000 if step in (4, 5) else before[0]  # bytes: no file of weights fits
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        try:
            real(self, model, trial)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    monkeypatch.setattr(StrategyTrainer, "_save_checkpoint", save)
    trainer = train(tiny_lm, token_rows, tmp_path, max_steps=8, save_steps=4)
    assert trainer.state.global_step == 8
    assert asked == [4, 5, 6, 8]  # tried again after each that failed
    assert checkpoints(tmp_path) == ["checkpoint-6", "checkpoint-8"]
    assert all(damages(tmp_path / name) == [] for name in checkpoints(tmp_path))
    said = capsys.readouterr().out
    assert "WARNING   no checkpoint at step 4: " in said
    assert "the next try is at step 5" in said
    assert not (tmp_path / ".saving").exists()


def test_another_error_while_saving_is_not_taken_for_a_full_disk(tiny_lm, token_rows, tmp_path, monkeypatch):
    def broken(self, output_dir):
        raise RuntimeError("a bug")

    monkeypatch.setattr("transformers.Trainer._save_optimizer_and_scheduler", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        train(tiny_lm, token_rows, tmp_path)
    assert checkpoints(tmp_path) == []


def test_a_step_that_is_saved_twice_is_replaced_and_leaves_nothing_beside_it(tiny_lm, token_rows, tmp_path):
    trainer = train(tiny_lm, token_rows, tmp_path)
    torch.nn.init.zeros_(next(tiny_lm.parameters()))
    trainer._save_checkpoint(tiny_lm, None)
    assert checkpoints(tmp_path) == ["checkpoint-2", "checkpoint-4", "checkpoint-6"]
    assert damages(tmp_path / "checkpoint-6") == []
    saved = torch.load(tmp_path / "checkpoint-6" / "rng_state.pth", weights_only=False)
    assert saved["cpu"].numel() > 0


def test_checkpoints_that_cannot_fit_are_refused_before_the_first_step(tiny_lm, token_rows, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**6, 10**6 - 9, 9))
    with pytest.raises(UserError, match=r"3 more checkpoints of about .* need .* free: lower save_total_limit"):
        train(tiny_lm, token_rows, tmp_path)


def test_a_limit_of_one_leaves_what_a_run_goes_on_from(tiny_lm, token_rows, tmp_path):
    args = TrainingArguments(
        tmp_path, use_cpu=True, report_to="none", disable_tqdm=True, max_steps=6, save_strategy="steps", save_steps=2,
        eval_strategy="steps", eval_steps=2, learning_rate=1.0, load_best_model_at_end=True, save_total_limit=1,
        metric_for_best_model="loss", greater_is_better=True,
    )  # fmt: skip
    trainer = StrategyTrainer(tiny_lm, args, train_dataset=token_rows, eval_dataset=token_rows)
    trainer.train()
    assert checkpoints(tmp_path) == ["checkpoint-2", "checkpoint-4", "checkpoint-6"]
    assert args.save_total_limit == 1
