import pytest
import torch
from transformers import TrainingArguments

from hf_strategies import OptimizerFactory, StrategyTrainer
from hf_strategies.errors import UserError


@pytest.fixture
def train(tiny_lm, token_rows, tmp_path):
    start = {name: weights.clone() for name, weights in tiny_lm.state_dict().items()}

    def run(folder, *, steps=6, changed=(), resume=None, scheduler="linear", evaluate=False, **hyper):
        tiny_lm.load_state_dict(start)
        args = TrainingArguments(
            tmp_path / folder, use_cpu=True, report_to="none", disable_tqdm=True, save_strategy="steps", save_steps=3,
            max_steps=steps, per_device_train_batch_size=2, eval_strategy="steps" if evaluate else "no", eval_steps=3,
            metric_for_best_model="loss",
        )  # fmt: skip
        made_by = (OptimizerFactory, {"name": "adamw", "lr": 1e-3, "weight_decay": 0.1, **hyper})
        trainer = StrategyTrainer(
            tiny_lm, args, train_dataset=token_rows, eval_dataset=token_rows[:2], optimizer_cls_and_kwargs=made_by,
            scheduler=scheduler,
        )  # fmt: skip
        trainer.changed_settings = changed
        trainer.train(resume_from_checkpoint=resume and str(tmp_path / resume / "checkpoint-3"))
        return trainer

    return run


def group(trainer):
    return {name: value for name, value in trainer.optimizer.param_groups[0].items() if name != "params"}


def test_only_what_has_changed_is_taken(train):
    train("start")
    new = {"lr": 2e-3, "weight_decay": 0.2, "betas": (0.5, 0.9), "resume": "start", "steps": 4}
    names = ("lr", "initial_lr", "weight_decay", "betas")

    def settings(*changed):
        return tuple(group(train("new", changed=changed, **new))[name] for name in names)

    assert settings() == (0.0, 1e-3, 0.1, (0.9, 0.95))  # the line to zero over 4 updates has come to its end
    assert settings("learning_rate", "weight_decay", "optimizer_kwargs") == (0.0, 2e-3, 0.2, (0.5, 0.9))
    assert settings("logging_steps")[2:] == (0.1, (0.9, 0.95))


def test_a_new_rate_is_the_schedules_from_the_first_update_on(train):
    train("start")
    trainer = train("new", lr=2e-3, resume="start", steps=8, changed=["learning_rate"])
    assert set(trainer.lr_scheduler.base_lrs) == {2e-3}
    assert int(trainer.optimizer.state_dict()["state"][0]["step"]) == 8  # the moments are the checkpoint's: 3 and 5
    assert torch.isfinite(next(trainer.model.parameters())).all()


def test_what_an_optimizer_counts_is_no_setting(train):
    pytest.importorskip("schedulefree")
    hyper = {"name": "schedule_free_adamw", "lr": 1e-2, "scheduler": "constant"}
    straight = train("start", **hyper)
    weights = [weight.clone() for weight in straight.model.parameters()]
    for changed in ((), ("eval_delay",), ("weight_decay", "learning_rate", "optimizer_kwargs")):  # to what they were
        resumed = train("new", resume="start", changed=changed, **hyper)
        assert group(resumed)["k"] == group(straight)["k"] == 6
        for ours, theirs in zip(resumed.model.parameters(), weights, strict=True):
            assert torch.equal(ours, theirs)


def test_a_rate_that_follows_from_its_own_past_cannot_change_and_all_else_can(train):
    plateau = {"scheduler": "reduce_on_plateau", "evaluate": True}
    train("start", **plateau)
    resumed = {"resume": "start", "steps": 4, **plateau}
    with pytest.raises(UserError, match="cannot change learning_rate of a run with ReduceLROnPlateau"):
        train("new", lr=2e-3, changed=["learning_rate", "weight_decay"], **resumed)
    trainer = train("new", weight_decay=0.2, changed=["logging_steps", "weight_decay"], **resumed)
    assert (group(trainer)["lr"], group(trainer)["weight_decay"]) == (1e-3, 0.2)
