import pytest
from transformers import Trainer, TrainerCallback

from hf_strategies.callbacks.event_log import EventLogCallback
from hf_strategies.optimizers import OptimizerFactory
from hf_strategies.reports.events import read_events


class StopAt(TrainerCallback):
    """Stops a run after a step."""

    def __init__(self, step: int):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        control.should_training_stop |= state.global_step == self.step


def timeless(path) -> list[dict]:
    clocks = ("time", "runtime", "per_second")
    return [{k: v for k, v in event.items() if not k.endswith(clocks)} for event in read_events(path)]


@pytest.mark.parametrize("last_step", [4, 5])  # at a checkpoint, after it
def test_a_resumed_runs_file_is_the_uninterrupted_runs(tiny_lm, token_rows, arguments, tmp_path, last_step):
    start = {name: value.clone() for name, value in tiny_lm.state_dict().items()}

    def train(path, *callbacks, **resume):
        tiny_lm.load_state_dict(start)
        args = arguments(save_strategy="steps", save_steps=2, eval_strategy="steps", eval_steps=2, max_steps=6)
        trainer = Trainer(
            tiny_lm,
            args,
            train_dataset=token_rows,
            eval_dataset=token_rows[:4],
            callbacks=[EventLogCallback(path), *callbacks],
        )
        trainer.train(**resume)

    train(tmp_path / "straight.jsonl")
    train(tmp_path / "stopped.jsonl", StopAt(last_step))
    last = timeless(tmp_path / "stopped.jsonl")[-1]  # as far as anybody knows: a resumption takes it back
    assert (last["event"], last["step"]) == ("end", last_step)
    train(tmp_path / "stopped.jsonl", resume_from_checkpoint=str(tmp_path / "out" / "checkpoint-4"))

    straight = timeless(tmp_path / "straight.jsonl")
    assert [(event["event"], event["step"]) for event in straight] == [
        ("run", 0),
        *[("log", 1), ("log", 2), ("eval", 2), ("save", 2)],
        *[("log", 3), ("log", 4), ("eval", 4), ("save", 4)],
        *[("log", 5), ("log", 6), ("eval", 6), ("save", 6)],
        ("end", 6),
    ]
    stopped = timeless(tmp_path / "stopped.jsonl")
    straight[-1].pop("train_loss"), stopped[-1].pop("train_loss")  # Trainer's is of the last train() call only
    resumed = [event for event in stopped if event["event"] == "run" and event["step"] > 0]
    assert resumed == [{**straight[0], "step": 4}]  # what the reports mark
    assert [event for event in stopped if event not in resumed] == straight


def test_training_anew_starts_the_file_anew(tiny_lm, token_rows, arguments, tmp_path):
    callbacks = [EventLogCallback(tmp_path / "events.jsonl")]
    trainer = Trainer(tiny_lm, arguments(max_steps=1), train_dataset=token_rows, callbacks=callbacks)
    for _ in range(2):
        trainer.train()
    assert [event["event"] for event in timeless(tmp_path / "events.jsonl")] == ["run", "log", "end"]


def test_the_start_of_a_run_says_what_the_optimizer_does_to_which_weights(tiny_lm, token_rows, arguments, tmp_path):
    factory = (OptimizerFactory, {"name": "muon", "lr": 1e-2, "weight_decay": 0.1})
    trainer = Trainer(
        tiny_lm,
        arguments(max_steps=1),
        train_dataset=token_rows,
        callbacks=[EventLogCallback(tmp_path / "events.jsonl")],
        optimizer_cls_and_kwargs=factory,
    )
    trainer.train()
    groups = timeless(tmp_path / "events.jsonl")[0]["param_groups"]
    counts = {"tensors": 14, "parameters": 5120}  # 2 x (4 x 16 x 16 + 3 x 16 x 32)
    assert groups[0] == {"group": "matrices", **counts, "lr": 1e-2, "weight_decay": 0.1, "optimizer": "muon"}
    assert sum(group["parameters"] for group in groups) == tiny_lm.num_parameters()
