import copy
import json
import shutil
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from transformers import TrainerCallback, TrainingArguments

from hf_strategies import OptimizerFactory, StrategyTrainer
from hf_strategies.checkpoints.manifest import damages, read_manifest
from hf_strategies.errors import UserError


def train(model, rows, folder, *, resume=None, options=None, **settings):
    """Train without a guard, which would keep more where saves come faster than they are proven."""
    args = TrainingArguments(
        folder, use_cpu=True, report_to="none", disable_tqdm=True, save_strategy="steps",
        **{"save_steps": 2, "max_steps": 6, "per_device_train_batch_size": 2, **settings},
    )  # fmt: skip
    hyper = {"name": "adamw", "lr": 1e-3}
    trainer = StrategyTrainer(
        model,
        args,
        train_dataset=rows,
        optimizer_cls_and_kwargs=(OptimizerFactory, hyper),
        guard=None,
        **(options or {}),
    )
    trainer.train(resume_from_checkpoint=resume)
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
        assert (manifest["tokens"], manifest["optimizer"]) == (None, "AdamW")  # nobody said how long a sample is
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
    for number in range(3):
        (tmp_path / f"checkpoint-{number}.corrupt").mkdir()  # which take no place from whole ones
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**6, 10**6 - 9, 9))
    with pytest.raises(UserError, match=r"3 more checkpoints of about .* need .* free: free some, or choose"):
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


def test_samples_and_tokens_are_those_that_were_seen(tiny_lm, token_rows, tmp_path):
    """After the first 3 updates of 2 samples, updates have 6: 24 samples make up to 3 + 3 of them."""
    options = {"tokens_per_sample": 16}
    train(tiny_lm, token_rows[:24], tmp_path, save_steps=3, max_steps=3, options=options)
    resume = str(tmp_path / "checkpoint-3")
    larger = {"per_device_train_batch_size": 6, "save_steps": 1, "max_steps": 7}
    train(tiny_lm, token_rows[:24], tmp_path, resume=resume, options=options, **larger)
    manifests = [read_manifest(tmp_path / f"checkpoint-{step}") for step in (3, 4, 6, 7)]
    assert [manifest["samples"] for manifest in manifests] == [6, 12, 24, 30]
    assert [manifest["tokens"] for manifest in manifests] == [16 * count for count in (6, 12, 24, 30)]


def test_a_run_that_goes_back_keeps_what_it_saves_from_then_on(tiny_lm, token_rows, tmp_path):
    train(tiny_lm, token_rows, tmp_path, save_steps=4, max_steps=20)
    shutil.move(tmp_path / "checkpoint-4", tmp_path / "copy")
    shutil.rmtree(tmp_path / "checkpoint-8")
    train(
        tiny_lm, token_rows, tmp_path, resume=str(tmp_path / "copy"), save_total_limit=3, max_steps=8, save_steps=2
    )  # whose three saves take the places of the three that were left behind
    assert checkpoints(tmp_path) == ["checkpoint-20", "checkpoint-6", "checkpoint-8"]


def test_a_removal_that_was_killed_is_finished_and_stops_no_later_one(tiny_lm, token_rows, tmp_path, capsys):
    (tmp_path / ".checkpoint-2.removed").mkdir()
    (tmp_path / ".checkpoint-2.removed" / "weights").touch()
    train(tiny_lm, token_rows, tmp_path, save_total_limit=2)
    assert checkpoints(tmp_path) == ["checkpoint-4", "checkpoint-6"]
    assert "WARNING" not in capsys.readouterr().out


def test_a_removal_that_fails_takes_nothing_from_the_new_one(tiny_lm, token_rows, tmp_path, capsys):
    class Blocks(TrainerCallback):
        """Puts something where the removal of the first checkpoint moves it."""

        def on_step_end(self, args, state, control, **kwargs):
            if state.global_step == 4:
                (tmp_path / ".checkpoint-2.removed").write_text("not a folder")

    train(tiny_lm, token_rows, tmp_path, save_total_limit=2, max_steps=6, options={"callbacks": [Blocks()]})
    assert checkpoints(tmp_path) == [".checkpoint-2.removed", "checkpoint-2", "checkpoint-4", "checkpoint-6"]
    said = capsys.readouterr().out
    assert "older checkpoints in" in said
    assert "no checkpoint at step" not in said


def test_the_token_for_the_hub_stays_out_of_every_file(tiny_lm, token_rows, tmp_path):
    trainer = train(tiny_lm, token_rows, tmp_path, max_steps=2, hub_token="hf_unwritten")
    trainer.save_model()
    assert trainer.args.hub_token == copy.deepcopy(trainer.args).hub_token == "hf_unwritten"
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.name for path in written} >= {"training_args.bin", "manifest.json"}
    assert not [path for path in written if b"hf_unwritten" in path.read_bytes()]
    assert torch.load(tmp_path / "training_args.bin", weights_only=False).hub_token is None


def best_of(model, rows, folder, losses, *, resume=None, callbacks=(), save=None, **settings):
    """Train 10 updates with a checkpoint and an evaluation after every second, whose losses are given."""
    args = TrainingArguments(
        folder, use_cpu=True, report_to="none", disable_tqdm=True, save_strategy="steps", save_steps=2,
        eval_strategy="steps", eval_steps=2, load_best_model_at_end=True, per_device_train_batch_size=2,
        **{"max_steps": 10, "save_total_limit": 2, **settings},
    )  # fmt: skip

    class Evaluated(StrategyTrainer):
        def evaluate(self, *args, **kwargs):
            return {**super().evaluate(*args, **kwargs), "eval_loss": losses[self.state.global_step]}

        def _save_checkpoint(self, model, trial):
            with (save or nullcontext)(self.state.global_step):
                super()._save_checkpoint(model, trial)

    data = {"train_dataset": rows, "eval_dataset": rows[:2]}
    trainer = Evaluated(model, args, callbacks=list(callbacks), guard=None, **data)
    trainer.train(resume_from_checkpoint=resume)
    return trainer


def test_the_best_is_kept_where_its_folder_has_another_name_by_now(tiny_lm, token_rows, tmp_path, monkeypatch):
    losses = {2: 1.0, 4: 5.0, 6: 5.0, 8: 5.0, 10: 5.0}
    monkeypatch.chdir(tmp_path)
    best_of(tiny_lm, token_rows, "here", losses, max_steps=4)
    (tmp_path / "here").rename(tmp_path / "there")
    trainer = best_of(
        tiny_lm, token_rows, str(tmp_path / "there"), losses, resume=str(tmp_path / "there" / "checkpoint-4")
    )
    assert checkpoints(tmp_path / "there") == ["checkpoint-10", "checkpoint-2", "checkpoint-8"]
    assert trainer.state.best_model_checkpoint == str(tmp_path / "there" / "checkpoint-2")


def test_the_best_is_the_best_of_those_that_were_saved(tiny_lm, token_rows, tmp_path, no_file_above, capsys):
    losses = {2: 3.0, 4: 2.0, 6: 1.0, 8: 5.0, 10: 6.0}

    def save(step):
        return no_file_above(1000) if step == 6 else nullcontext()

    trainer = best_of(tiny_lm, token_rows, tmp_path, losses, save=save)
    assert checkpoints(tmp_path) == ["checkpoint-10", "checkpoint-4", "checkpoint-8"]
    assert trainer.state.best_model_checkpoint == str(tmp_path / "checkpoint-4")
    assert (trainer.state.best_metric, trainer.state.best_global_step) == (2.0, 4)
    again = best_of(tiny_lm, token_rows, tmp_path / "later", {**losses, 8: 1.5}, save=save)
    assert (again.state.best_metric, again.state.best_global_step) == (1.5, 8)
