import torch
from transformers import TrainingArguments

from hf_strategies import OptimizerFactory, StrategyTrainer


def train(model, rows, folder, *, lr, weight_decay=0.0, steps=6, resume=None, takes_new=False):
    args = TrainingArguments(
        folder, use_cpu=True, report_to="none", disable_tqdm=True, save_strategy="steps", save_steps=3,
        max_steps=steps, per_device_train_batch_size=2,
    )  # fmt: skip
    hyper = {"name": "adamw", "lr": lr, "weight_decay": weight_decay}
    trainer = StrategyTrainer(
        model, args, train_dataset=rows, optimizer_cls_and_kwargs=(OptimizerFactory, hyper), scheduler="linear"
    )
    trainer.takes_new_settings = takes_new
    trainer.train(resume_from_checkpoint=resume)
    return trainer


def rates(trainer):
    return [(group["lr"], group["initial_lr"], group["weight_decay"]) for group in trainer.optimizer.param_groups]


def test_a_resumed_run_keeps_the_checkpoints_rates_unless_new_ones_are_wanted(tiny_lm, token_rows, tmp_path):
    train(tiny_lm, token_rows, tmp_path, lr=1e-3, weight_decay=0.1)
    resumed = {"lr": 2e-3, "weight_decay": 0.2, "steps": 4, "resume": str(tmp_path / "checkpoint-3")}
    kept = train(tiny_lm, token_rows, tmp_path / "kept", **resumed)
    assert rates(kept)[0][1:] == (1e-3, 0.1)
    new = train(tiny_lm, token_rows, tmp_path / "new", **resumed, takes_new=True)
    assert rates(new)[0] == (0.0, 2e-3, 0.2)  # the line to zero over 4 updates has come to its end
    three = train(tiny_lm, token_rows, tmp_path / "three", **{**resumed, "steps": 8}, takes_new=True)
    logged = three.lr_scheduler
    assert set(logged.base_lrs) == {2e-3}
    state = three.optimizer.state_dict()["state"]
    assert int(state[0]["step"]) == 8  # the moments are the checkpoint's: three updates before, five here
    assert torch.isfinite(next(tiny_lm.parameters())).all()
