import json
import shutil

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

from hf_strategies import OptimizerFactory, StrategyTrainer
from hf_strategies.checkpoints.manifest import write_manifest
from hf_strategies.errors import NoCheckpointError, UserError


def settings(folder, **changes):
    fixed = {"use_cpu": True, "report_to": "none", "disable_tqdm": True, "per_device_train_batch_size": 2}
    return TrainingArguments(folder, **fixed, **{"max_steps": 4, "save_steps": 2, **changes})


def train(model, rows, folder, *, resume=None, optimizer="adamw", **changes):
    made_by = (OptimizerFactory, {"name": optimizer, "lr": 1e-3})
    trainer = StrategyTrainer(model, settings(folder, **changes), train_dataset=rows, optimizer_cls_and_kwargs=made_by)
    trainer.train(resume_from_checkpoint=resume)
    return trainer


@pytest.fixture
def run(tiny_lm, token_rows, tmp_path):
    """A folder with checkpoints of 2 and 4 updates."""
    train(tiny_lm, token_rows, tmp_path / "run")
    return tmp_path / "run"


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def names(run):
    return sorted(path.name for path in run.glob("checkpoint-*"))


def test_true_takes_the_newest_that_verifies(run, tiny_lm, token_rows, capsys):
    flip_a_bit(run / "checkpoint-4" / "optimizer.pt")
    trainer = train(tiny_lm, token_rows, run, resume=True, max_steps=3, save_strategy="no")
    assert (trainer._initial_global_step, trainer.state.global_step) == (2, 3)
    assert names(run) == ["checkpoint-2", "checkpoint-4.corrupt"]
    assert "WARNING   checkpoint-4 is damaged" in capsys.readouterr().out
    (run / "checkpoint-2" / "scheduler.pt").unlink()
    for _ in range(2):
        with pytest.raises(NoCheckpointError):
            train(tiny_lm, token_rows, run, resume=True)


def test_a_plain_trainers_checkpoints_are_gone_on_from_as_it_would(tiny_lm, token_rows, tmp_path):
    Trainer(tiny_lm, settings(tmp_path), train_dataset=token_rows).train()
    trainer = StrategyTrainer(tiny_lm, settings(tmp_path, max_steps=5, save_strategy="no"), train_dataset=token_rows)
    trainer.train(resume_from_checkpoint=True)
    assert (trainer._initial_global_step, trainer.state.global_step) == (4, 5)
    assert names(tmp_path) == ["checkpoint-2", "checkpoint-4"]


def test_a_named_one_is_verified_unless_that_has_been_done(run, tiny_lm, token_rows, monkeypatch):
    flip_a_bit(run / "checkpoint-4" / "optimizer.pt")
    with pytest.raises(UserError, match=r"optimizer\.pt: its content has changed"):
        train(tiny_lm, token_rows, run, resume=str(run / "checkpoint-4"))
    assert names(run) == ["checkpoint-2", "checkpoint-4"]  # a name is an order: nothing is renamed
    monkeypatch.setattr(StrategyTrainer, "is_verified", True)
    trainer = train(tiny_lm, token_rows, run, resume=str(run / "checkpoint-4"), max_steps=5, save_strategy="no")
    assert trainer.state.global_step == 5


def test_weights_alone_are_not_gone_on_from(tiny_lm, token_rows, tmp_path):
    train(tiny_lm, token_rows, tmp_path, save_only_model=True)
    for resume in (True, str(tmp_path / "checkpoint-4")):
        with pytest.raises(UserError, match=r"checkpoint-4 holds no optimizer, no schedule, no random state"):
            train(tiny_lm, token_rows, tmp_path, resume=resume, max_steps=6)


def test_an_index_that_points_outside_is_not_followed(run, tiny_lm, token_rows):
    checkpoint = run / "checkpoint-4"
    (checkpoint / "model.safetensors").rename(run / "outside.safetensors")
    index = {"metadata": {}, "weight_map": {"model.embed_tokens.weight": "../outside.safetensors"}}
    (checkpoint / "model.safetensors.index.json").write_text(json.dumps(index))
    (checkpoint / "manifest.json").unlink()
    write_manifest(checkpoint, {})
    with pytest.raises(UserError, match="points outside of the folder"):
        train(tiny_lm, token_rows, run, resume=True, max_steps=6)


def test_another_model_or_optimizer_is_a_line(run, tiny_lm, token_rows):
    resume = str(run / "checkpoint-2")
    with pytest.raises(UserError, match=r"^[^\n]*does not fit this run: its optimizer is AdamW, this one's Lion$"):
        train(tiny_lm, token_rows, run, resume=resume, optimizer="lion")
    config = LlamaConfig(**{**tiny_lm.config.to_dict(), "intermediate_size": 64})
    with pytest.raises(UserError, match=r"^[^\n]*does not fit this model: size mismatch for [^\n]*$"):
        train(LlamaForCausalLM(config), token_rows, run, resume=resume)
    frozen = tiny_lm.requires_grad_(False)
    frozen.lm_head.requires_grad_(True)
    with pytest.raises(UserError, match=r"^[^\n]*does not fit this run: loaded state dict [^\n]*$"):
        train(frozen, token_rows, run, resume=resume)


def test_another_kind_of_schedule_is_a_line(run, tiny_lm, token_rows):
    checkpoint = run / "checkpoint-2"
    torch.save({"best": 1.0}, checkpoint / "scheduler.pt")
    (checkpoint / "manifest.json").unlink()
    with pytest.raises(UserError, match=r"^[^\n]*does not fit this run: 'lr_lambdas'$"):
        train(tiny_lm, token_rows, run, resume=str(checkpoint))


def test_the_scaler_of_a_run_in_fp16_is_left_alone_in_another_precision(run, tiny_lm, token_rows):
    shutil.copy(run / "checkpoint-2" / "scheduler.pt", run / "checkpoint-2" / "scaler.pt")
    trainer = train(tiny_lm, token_rows, run, resume=str(run / "checkpoint-2"), max_steps=3, save_strategy="no")
    assert trainer.state.global_step == 3
