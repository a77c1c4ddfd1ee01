"""Stopping in this process: real signals and files, at moments that a test can choose."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainerCallback

from hf_strategies.callbacks.event_log import EventLogCallback
from hf_strategies.errors import UserError
from hf_strategies.reports.events import read_events
from hf_strategies.training import StrategyTrainer


class At(TrainerCallback):
    """Does something in the middle of one update: after its first micro-batch."""

    def __init__(self, update, act):
        self.update, self.act = update, act

    def on_substep_end(self, args, state, control, **kwargs):
        if state.global_step == self.update - 1:
            self.act()


def send(number):
    return lambda: os.kill(os.getpid(), number)


@pytest.fixture
def train(build_lm, numbered_rows, arguments):
    """Train with dropout for nine updates, each of two micro-batches; three updates are an epoch."""

    def run(*callbacks, resume=None, options=None, **changes):
        args = arguments(**{"save_strategy": "no", **changes})
        trainer = StrategyTrainer(
            build_lm(),
            args,
            train_dataset=numbered_rows,
            eval_dataset=numbered_rows[:4],
            callbacks=list(callbacks),
            scheduler="linear",
            **(options or {}),
        )
        trainer.train(resume_from_checkpoint=resume)
        return trainer

    return run


def checkpoints(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "out").glob("checkpoint-*"))


def history(trainer) -> list[dict]:
    """What was logged, times and speeds and the closing summary aside."""
    timed = ("runtime", "per_second")
    rows = [row for row in trainer.state.log_history if "train_runtime" not in row]
    return [{name: value for name, value in row.items() if not name.endswith(timed)} for row in rows]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGUSR1"])
def test_a_signal_stops_after_its_update_and_leaves_that_updates_checkpoint(train, tmp_path, name):
    trainer = train(At(4, send(getattr(signal, name))))
    assert (trainer.stopped_by, trainer.state.global_step) == (name, 4)
    assert checkpoints(tmp_path) == ["checkpoint-4"]


STRATEGIES = {
    "epochs": {"eval_strategy": "epoch", "save_strategy": "epoch"},
    "steps": {"eval_strategy": "steps", "eval_steps": 2, "save_strategy": "steps", "save_steps": 2},
    "evaluations": {"eval_strategy": "epoch"},
}


@pytest.mark.parametrize(
    ("kind", "update"),  # within epochs of three updates, at their ends, at the run's end
    [
        *(("epochs", update) for update in (1, 2, 6, 9)),
        *(("steps", update) for update in (1, 2, 3, 8, 9)),
        *(("evaluations", update) for update in (3, 5)),
    ],
)
def test_what_a_stop_leaves_goes_on_as_if_nothing_had_happened(train, tmp_path, kind, update):
    strategies = {**STRATEGIES[kind], "logging_steps": 3}
    straight = train(**strategies)
    stopped = train(At(update, send(signal.SIGTERM)), output_dir=f"{tmp_path}/stopped", **strategies)
    assert stopped.state.global_step == update
    checkpoint = f"{tmp_path}/stopped/checkpoint-{update}"
    resumed = train(output_dir=f"{tmp_path}/stopped", resume=checkpoint, **strategies) if update < 9 else stopped
    assert resumed.stopped_by == (None if update < 9 else "SIGTERM")
    assert history(resumed) == history(straight)
    for ours, theirs in zip(resumed.model.parameters(), straight.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def touch(path: Path):
    def act():
        time.sleep(0.05)  # a look that is due by now
        path.touch()

    return act


def test_a_save_file_asks_for_one_checkpoint_and_training_goes_on(train, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    trainer = train(At(4, touch(tmp_path / "out" / "SAVE")))
    assert (trainer.stopped_by, trainer.state.global_step) == (None, 9)
    assert checkpoints(tmp_path) == ["checkpoint-4"]
    assert not (tmp_path / "out" / "SAVE").exists()
    assert capsys.readouterr().out.count("SAVE: saving after update 4") == 1


def test_a_stop_file_stops(train, tmp_path):
    (tmp_path / "out").mkdir()
    events = EventLogCallback(tmp_path / "out" / "events.jsonl")
    trainer = train(At(4, touch(tmp_path / "out" / "STOP")), events)
    assert (trainer.stopped_by, trainer.state.global_step) == ("STOP", 4)
    assert checkpoints(tmp_path) == ["checkpoint-4"]
    assert not (tmp_path / "out" / "STOP").exists()
    told = [event for event in read_events(events.path) if event["event"] in ("request", "save", "end")]
    assert [(event["event"], event["step"], event.get("by")) for event in told] == [
        ("request", 4, "STOP"),
        ("save", 4, None),
    ]


def test_saves_at_listed_steps_come_beside_those_at_intervals(train, tmp_path):
    train(options={"save_at_steps": [2, 4, 5]}, save_strategy="steps", save_steps=4)
    assert checkpoints(tmp_path) == [f"checkpoint-{step}" for step in (2, 4, 5, 8, 9)]


def test_minutes_count_from_the_last_save(build_lm, numbered_rows, arguments, tmp_path):
    trainer = StrategyTrainer(build_lm(), arguments(save_strategy="no"), train_dataset=numbered_rows, save_minutes=30)

    def half_an_hour_passes():
        trainer._saved_at -= 1800

    trainer.add_callback(At(4, half_an_hour_passes))
    trainer.train()
    assert checkpoints(tmp_path) == ["checkpoint-4"]


def test_a_budget_of_hours_stops_before_it_is_spent(train, tmp_path):
    began = time.time()
    trainer = train(options={"max_hours": 1.0, "job_started": began - 3599.99})
    assert (trainer.stopped_by, trainer.state.global_step) == ("max_hours", 1)
    assert checkpoints(tmp_path) == ["checkpoint-1"]


def test_slurms_end_stops(train, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(int(time.time()) + 20))  # less than the slack of 30 s
    trainer = train()
    assert (trainer.stopped_by, trainer.state.global_step) == ("SLURM_JOB_END_TIME", 1)


def test_a_stop_keeps_its_checkpoint_where_the_host_would_keep_the_best_alone(train, tmp_path):
    best = {"eval_strategy": "steps", "eval_steps": 2, "save_strategy": "steps", "save_steps": 2}
    best |= {"save_total_limit": 1, "load_best_model_at_end": True, "metric_for_best_model": "worse"}
    worse = {"compute_metrics": lambda _: {"worse": 0.0}}  # the first evaluation stays the best

    trainer = train(At(5, send(signal.SIGTERM)), options=worse, greater_is_better=False, **best)
    assert trainer.state.best_model_checkpoint == f"{tmp_path}/out/checkpoint-2"
    saved = load_file(tmp_path / "out" / "checkpoint-5" / "model.safetensors")
    weights = dict(trainer.model.named_parameters())
    assert all(torch.equal(weights[name], saved[name]) for name in saved)


def test_a_second_run_of_the_same_trainer_is_not_stopped_by_the_firsts_signal(train):
    trainer = train(At(2, send(signal.SIGTERM)))
    trainer.callback_handler.pop_callback(At)
    trainer.train()
    assert (trainer.stopped_by, trainer.state.global_step) == (None, 9)


def test_training_outside_of_the_main_thread_runs_to_its_end(train):
    ended = []
    thread = threading.Thread(target=lambda: ended.append(train().state.global_step))
    thread.start()
    thread.join()
    assert ended == [9]


def test_a_search_is_not_stopped_trial_by_trial(build_lm, numbered_rows, arguments):
    trainer = StrategyTrainer(build_lm(), arguments(max_steps=2), train_dataset=numbered_rows)
    trainer.stoppable = False
    seen = []
    trainer.add_callback(At(1, lambda: seen.append(signal.getsignal(signal.SIGTERM))))
    before = signal.getsignal(signal.SIGTERM)
    trainer.train()
    assert seen == [before]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"max_hours": 0}, "max_hours must be a number above 0, got 0"),
        ({"save_minutes": -1.0}, "save_minutes must be a number above 0, got -1.0"),
        ({"hang_timeout": float("nan")}, "hang_timeout must be a number above 0, got nan"),
        ({"save_at_steps": [3, 0]}, "save_at_steps must be a whole number >= 1 each, got 0"),
    ],
)
def test_what_makes_no_sense_is_refused(build_lm, arguments, options, complaint):
    with pytest.raises(UserError, match=complaint):
        StrategyTrainer(build_lm(), arguments(), **options)


def test_two_answers_to_sigterm_are_refused(build_lm, arguments):
    with pytest.raises(UserError, match="would both answer SIGTERM"):
        StrategyTrainer(build_lm(), arguments(enable_jit_checkpoint=True))
