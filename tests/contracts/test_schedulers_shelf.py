"""What every schedule on the shelf promises."""

import inspect
import json
import pickle
import subprocess
import sys

import pytest
import torch

from hf_strategies.errors import UserError
from hf_strategies.schedulers import SCHEDULERS, create_scheduler, schedule_curve
from hf_strategies.schedulers.shapes import PERIODS, PHASES, RANGES, settings_of

STEPS = 60
CURVES = [entry.name for entry in SCHEDULERS if not entry.facts.get("stateful")]
WITH_WARMUP = [name for name in CURVES if SCHEDULERS[name].facts["warmup"] != "own"]

# The least that a curve must be told in a run of sixty updates.
NEEDED = {
    "warmup_stable_decay": {"num_decay_steps": 0.2},
    "power": {"num_plateau_steps": 0.2, "num_decay_steps": 0.2},
    "step": {"step_size": 20},
    "multistep": {"milestones": [0.5, 45]},
    "noam": {"num_rise_steps": 15},
    "sequence": {"phases": [{"scheduler": "cosine", "num_steps": 30}, {"scheduler": "linear", "peak": 0.5}]},
}


def run_of(name: str) -> dict:
    warmup = 6 if name in WITH_WARMUP else 0
    return {"num_training_steps": STEPS, "num_warmup_steps": warmup, **NEEDED.get(name, {})}


def test_the_shelf_is_whole():
    assert set(SCHEDULERS.names()) == {
        "constant", "linear", "cosine", "cosine_restarts", "polynomial", "exponential", "step", "multistep",
        "inverse_sqrt", "noam", "one_cycle", "slanted_triangular", "warmup_stable_decay", "power", "sequence",
        "reduce_on_plateau",
    }  # fmt: skip


@pytest.mark.parametrize("name", CURVES)
def test_factors_stay_between_zero_and_one_reach_one_and_hold_past_the_end(name):
    curve = schedule_curve(name, **run_of(name))
    factors = [curve(step) for step in range(STEPS + 5)]
    assert all(0.0 <= factor <= 1.0 for factor in factors)
    assert max(factors) == pytest.approx(1.0)
    assert factors[STEPS:] == pytest.approx([factors[STEPS]] * 5)


def all_rise(name: str, steps: int) -> dict:
    """The least that a curve must be told in a run that only rises."""
    told = {
        "warmup_stable_decay": {"num_decay_steps": 0},
        "power": {"num_plateau_steps": 0, "num_decay_steps": 0},
        "step": {"step_size": steps},
        "multistep": {"milestones": [steps]},
        "sequence": {"phases": [{"scheduler": "cosine_restarts", "num_warmup_steps": steps}]},
    }
    if name in WITH_WARMUP:
        return {"num_training_steps": steps, "num_warmup_steps": steps, **told.get(name, {})}
    return {"num_training_steps": steps, **told.get(name, {"num_rise_steps": steps})}


@pytest.mark.parametrize("steps", [1, 7, STEPS])
@pytest.mark.parametrize("name", CURVES)
def test_a_rise_may_fill_the_run(name, steps):
    curve = schedule_curve(name, **all_rise(name, steps))
    factors = [curve(step) for step in range(steps + 2)]  # a scheduler asks once more after the last update
    assert all(0.0 <= factor <= 1.0 for factor in factors)
    assert factors[:steps] == sorted(factors[:steps])


@pytest.mark.parametrize("name", CURVES)
def test_a_run_of_one_update_trains_at_the_base_rate(name):
    least = {
        "warmup_stable_decay": {"num_decay_steps": 1},
        "power": {"num_plateau_steps": 1, "num_decay_steps": 0},
        "multistep": {"milestones": [1]},
        "noam": {"num_rise_steps": 1},
        "sequence": {"phases": [{"scheduler": "one_cycle"}]},
    }
    shape = least.get(name, NEEDED.get(name, {}))
    assert schedule_curve(name, num_training_steps=1, **shape)(0) == pytest.approx(1.0)


@pytest.mark.parametrize("shape", ["linear", "cosine", "exponential"])
@pytest.mark.parametrize("name", WITH_WARMUP)
def test_a_warmup_rises_from_its_start(name, shape):
    curve = schedule_curve(name, **run_of(name), warmup_shape=shape, warmup_start=0.25)
    rise = [curve(step) for step in range(7)]
    assert rise[0] == 0.25
    assert rise == sorted(rise)
    assert rise[6] == pytest.approx(1.0)


@pytest.mark.parametrize("name", CURVES)
def test_without_a_warmup_a_curve_begins_where_it_says(name):
    factor = schedule_curve(name, **{**run_of(name), "num_warmup_steps": 0})(0)
    # 1 over 15 of noam's rise; torch's div_factor of 25; ULMFiT's ratio of 32.
    assert factor == pytest.approx({"noam": 1 / 15, "one_cycle": 1 / 25, "slanted_triangular": 1 / 32}.get(name, 1.0))


def build(name: str) -> tuple:
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in (1.0, 0.01)]
    optimizer = torch.optim.SGD(groups)
    return optimizer, create_scheduler(name, optimizer, **run_of(name))


def advance(optimizer, scheduler, steps: int) -> list:
    rates = []
    for _ in range(steps):
        optimizer.step()
        # Of the evaluations that reduce_on_plateau sees, each is as bad as the one before.
        scheduler.step(*([1.0] if "reduce" in type(scheduler).__name__.lower() else []))
        rates.append([group["lr"] for group in optimizer.param_groups])
    return rates


@pytest.mark.parametrize("name", SCHEDULERS.names())
def test_saving_and_resuming_changes_no_rate(name, tmp_path):
    optimizer, scheduler = build(name)
    advance(optimizer, scheduler, 20)
    torch.save((optimizer.state_dict(), scheduler.state_dict()), tmp_path / "state.pt")
    expected = advance(optimizer, scheduler, 30)
    optimizer, scheduler = build(name)
    saved = torch.load(tmp_path / "state.pt", weights_only=True)
    optimizer.load_state_dict(saved[0])
    scheduler.load_state_dict(saved[1])
    assert advance(optimizer, scheduler, 30) == expected
    assert len({rates[0] for rates in expected}) > 1 or name == "constant"


@pytest.mark.parametrize("name", SCHEDULERS.names())
def test_a_second_training_of_the_same_optimizer_has_the_rates_of_the_first(name):
    optimizer, scheduler = build(name)
    first = advance(optimizer, scheduler, 30)
    scheduler = create_scheduler(name, optimizer, **run_of(name))
    assert advance(optimizer, scheduler, 30) == first


@pytest.mark.parametrize("name", CURVES)
def test_every_group_is_scaled_from_its_own_rate(name):
    for first, second in advance(*build(name), 50):
        assert second == pytest.approx(first / 100)


@pytest.mark.parametrize("name", CURVES)
def test_a_curve_can_be_pickled(name):
    curve = schedule_curve(name, **run_of(name))
    copied = pickle.loads(pickle.dumps(curve))
    assert [copied(step) for step in range(STEPS)] == [curve(step) for step in range(STEPS)]


@pytest.mark.parametrize("name", SCHEDULERS.names())
def test_an_unknown_word_is_refused(name):
    with pytest.raises(UserError, match=f"scheduler '{name}' has no setting 'min_lr_ration'"):
        create_scheduler(name, build("constant")[0], **run_of(name), min_lr_ration=0.1)


@pytest.mark.parametrize("name", SCHEDULERS.names())
def test_every_argument_is_a_length_or_has_a_range_and_is_explained(name):
    entry = SCHEDULERS[name]
    lengths = {*PHASES, *PERIODS}
    assert settings_of(entry).keys() <= lengths | RANGES.keys()
    documented = inspect.getdoc(entry.build)
    assert all(word in documented for word in settings_of(entry))


def test_all_curves_are_checked_and_drawn_without_torch():
    program = (
        "import sys, json; from hf_strategies.schedulers import schedule_curve\n"
        "for name, run in json.loads(sys.argv[1]).items(): schedule_curve(name, **run)(3)\n"
        "assert 'torch' not in sys.modules"
    )
    runs = json.dumps({name: run_of(name) for name in CURVES})
    subprocess.run([sys.executable, "-c", program, runs], check=True)
