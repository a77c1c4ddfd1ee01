from functools import partial

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, TrainerCallback

from hf_strategies.callbacks.event_log import EventLogCallback
from hf_strategies.reports.events import read_events
from hf_strategies.training import StrategyTrainer
from hf_strategies.training.guard import GuardOptions


@pytest.fixture
def numbered_rows() -> list[dict[str, torch.Tensor]]:
    """Twenty-four rows, each of which begins with its own number."""
    rows = torch.randint(0, 32, (24, 8), generator=torch.Generator().manual_seed(0))
    rows[:, 0] = torch.arange(24)
    return [{"input_ids": row, "labels": row} for row in rows]


@pytest.fixture
def build_lm():
    """Build a small model with dropout 0.1, always with the same weights, that notes which rows it trains on."""

    def build() -> GPT2LMHeadModel:
        torch.manual_seed(0)
        model = GPT2LMHeadModel(GPT2Config(n_embd=16, n_layer=2, n_head=2, vocab_size=32, n_positions=8))
        model.seen = []
        model.register_forward_pre_hook(
            lambda module, _, kwargs: module.seen.extend(kwargs["input_ids"][:, 0].tolist()), with_kwargs=True
        )
        return model

    return build


@pytest.fixture
def arguments(arguments):
    """Nine updates of 2 x 4 samples, a checkpoint after each."""
    return partial(arguments, max_steps=9, gradient_accumulation_steps=2, save_strategy="steps", save_steps=1)


PATIENT = GuardOptions()


class ScaledGradient(torch.autograd.Function):
    """Leaves a loss as it is and scales its gradient."""

    @staticmethod
    def forward(ctx, loss, factor):
        ctx.factor = factor
        return loss.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.factor, None


class FaultyTrainer(StrategyTrainer):
    """Goes wrong in the updates that it is told: `loss` and `gradient` map an update (from 1) to a factor."""

    def __init__(self, *args, loss=None, gradient=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.loss_factors, self.gradient_factors = loss or {}, gradient or {}

    def compute_loss(self, *args, **kwargs):
        loss = super().compute_loss(*args, **kwargs)
        update = self.state.global_step + 1
        loss = ScaledGradient.apply(loss, self.gradient_factors.get(update, 1.0))
        return loss * self.loss_factors[update] if update in self.loss_factors else loss

    def column(self, name):
        return [row[name] for row in self.state.log_history if name in row]


class Weights(TrainerCallback):
    """Keeps a copy of all weights after each update, by its number."""

    def __init__(self):
        self.after = {}

    def on_train_begin(self, args, state, control, model, **kwargs):
        self.after[state.global_step] = [param.detach().clone() for param in model.parameters()]

    def on_step_end(self, args, state, control, model, **kwargs):
        self.after[state.global_step] = [param.detach().clone() for param in model.parameters()]

    def same(self, one, other):
        return all(torch.equal(a, b) for a, b in zip(self.after[one], self.after[other], strict=True))


@pytest.fixture
def faulty_trainer():
    return FaultyTrainer


@pytest.fixture
def train(build_lm, numbered_rows, arguments, tmp_path):
    """Train with faults; return the trainer, its weights after each update, and its guard events."""

    def run(*, loss=None, gradient=None, guard=PATIENT, callback=None, resume=None, **changes):
        weights, path = Weights(), tmp_path / "out" / "events.jsonl"
        args = arguments(**{"save_strategy": "no", "learning_rate": 1e-3, "lr_scheduler_type": "constant", **changes})
        trainer = FaultyTrainer(
            build_lm(), args, train_dataset=numbered_rows, guard=guard, loss=loss, gradient=gradient,
            callbacks=[weights, EventLogCallback(path), *([callback] if callback else [])],
        )  # fmt: skip
        trainer.train(resume_from_checkpoint=resume)
        return trainer, weights, [event for event in read_events(path) if event["event"] == "guard"]

    return run
