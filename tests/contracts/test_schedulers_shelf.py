"""What every schedule on the shelf promises."""

import inspect
import pickle

import pytest
import torch

from hf_strategies.errors import UserError
from hf_strategies.schedulers import SCHEDULERS, create_scheduler, schedule_curve
from hf_strategies.schedulers.factory import RANGES

RUN = {"num_training_steps": 60, "num_warmup_steps": 6}


def required(name: str) -> dict:
    """The least that a curve must be told: its phases take a fifth of the run each."""
    parameters = inspect.signature(SCHEDULERS[name].build).parameters.values()
    keyword_only = [p for p in parameters if p.kind is p.KEYWORD_ONLY and p.name != "num_warmup_steps"]
    return {p.name: 0.2 for p in keyword_only if p.default is p.empty}


def test_the_shelf_is_not_empty():
    assert {"constant", "linear", "cosine", "warmup_stable_decay"} <= set(SCHEDULERS.names())


@pytest.mark.parametrize("name", SCHEDULERS.names())
def test_factors_stay_between_zero_and_one_and_reach_one(name):
    curve = schedule_curve(name, **RUN, **required(name))
    factors = [curve(step) for step in range(RUN["num_training_steps"] + 5)]
    assert all(0.0 <= factor <= 1.0 for factor in factors)
    assert max(factors) == pytest.approx(1.0)


@pytest.mark.parametrize("name", SCHEDULERS.names())
def test_the_warmup_rises_from_zero(name):
    curve = schedule_curve(name, **RUN, **required(name))
    rise = [curve(step) for step in range(RUN["num_warmup_steps"] + 1)]
    assert rise[0] == 0.0
    assert rise == sorted(rise)


@pytest.mark.parametrize("name", SCHEDULERS.names())
def test_saving_and_resuming_changes_no_rate(name):
    def build() -> tuple:
        groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in (1.0, 0.01)]
        optimizer = torch.optim.SGD(groups)
        return optimizer, create_scheduler(name, optimizer, **RUN, **required(name))

    def advance(optimizer, scheduler, steps: int) -> list:
        rates = []
        for _ in range(steps):
            optimizer.step()
            scheduler.step()
            rates.append(scheduler.get_last_lr())
        return rates

    optimizer, scheduler = build()
    advance(optimizer, scheduler, 20)
    saved = pickle.loads(pickle.dumps((optimizer.state_dict(), scheduler.state_dict())))
    expected = advance(optimizer, scheduler, 30)
    optimizer, scheduler = build()
    optimizer.load_state_dict(saved[0])
    scheduler.load_state_dict(saved[1])
    assert advance(optimizer, scheduler, 30) == expected


@pytest.mark.parametrize("name", SCHEDULERS.names())
def test_an_unknown_word_is_refused(name):
    with pytest.raises(UserError, match=f"scheduler '{name}' has no setting 'min_lr_ration'"):
        schedule_curve(name, **RUN, **required(name), min_lr_ration=0.1)


@pytest.mark.parametrize("name", SCHEDULERS.names())
def test_every_shape_argument_counts_updates_or_has_a_range(name):
    parameters = inspect.signature(SCHEDULERS[name].build).parameters.values()
    shape = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
    assert {key for key in shape if not (key.startswith("num_") and key.endswith("_steps"))} <= RANGES.keys()
