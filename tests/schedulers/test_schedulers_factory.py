import pickle
import subprocess
import sys

import pytest
import torch
from transformers import get_scheduler

from hf_strategies.errors import UserError
from hf_strategies.schedulers import (
    SCHEDULERS,
    RunScale,
    bind_curve,
    check_schedule,
    create_scheduler,
    schedule_curve,
    unreached,
)

PHASES = [{"scheduler": "linear"}]
RUN = {"num_training_steps": 120, "num_warmup_steps": 10}


def probe(*rates: float) -> torch.optim.Optimizer:
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates or (1.0,)]
    return torch.optim.SGD(groups, lr=groups[0]["lr"])  # the host's polynomial looks at the optimizer's default


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (("constant", {}), ("constant_with_warmup", {})),
        (("linear", {}), ("linear", {})),
        (("cosine", {}), ("cosine", {})),
        (("cosine", {"num_cycles": 1.5}), ("cosine", {"num_cycles": 1.5})),
        (("cosine", {"min_lr_ratio": 0.1}), ("cosine_with_min_lr", {"min_lr_rate": 0.1})),
        (("cosine_restarts", {"num_cycles": 3}), ("cosine_with_restarts", {"num_cycles": 3})),
        (("polynomial", {"power": 2.0, "min_lr_ratio": 0.1}), ("polynomial", {"power": 2.0, "lr_end": 0.1})),
        (("inverse_sqrt", {}), ("inverse_sqrt", {})),
        (("inverse_sqrt", {"num_timescale_steps": 30}), ("inverse_sqrt", {"timescale": 30})),
        *[
            (
                ("warmup_stable_decay", {"num_decay_steps": 40, "decay_shape": shape}),
                ("warmup_stable_decay", {"num_decay_steps": 40, "decay_type": decay_type}),
            )
            for shape, decay_type in [("linear", "linear"), ("cosine", "cosine"), ("one_minus_sqrt", "1-sqrt")]
        ],
    ],
    ids=str,
)
def test_agrees_with_transformers_where_both_exist(ours, theirs):
    curve = schedule_curve(ours[0], **RUN, **ours[1])
    optimizer = probe()
    host = get_scheduler(theirs[0], optimizer, 10, 120, theirs[1])
    for step in range(121):
        assert host.get_last_lr()[0] == pytest.approx(curve(step), abs=1e-12)
        optimizer.step()
        host.step()


def test_every_group_is_scaled_from_its_own_rate():
    optimizer = probe(1.0, 0.1)
    scheduler = create_scheduler("linear", optimizer, num_training_steps=10, num_warmup_steps=2)
    seen = []
    for _ in range(7):
        seen.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    assert seen[1] == pytest.approx([0.5, 0.05])
    assert seen[6] == pytest.approx([0.5, 0.05])


def test_a_resumed_schedule_goes_on_where_it_was():
    straight, optimizer = [], probe(0.3)
    scheduler = create_scheduler("cosine", optimizer, **RUN)
    for step in range(120):
        if step == 50:
            saved = pickle.loads(pickle.dumps((optimizer.state_dict(), scheduler.state_dict())))
        straight.append(scheduler.get_last_lr())
        optimizer.step()
        scheduler.step()
    optimizer = probe(0.3)
    scheduler = create_scheduler("cosine", optimizer, **RUN)
    optimizer.load_state_dict(saved[0])
    scheduler.load_state_dict(saved[1])
    for step in range(50, 120):
        assert scheduler.get_last_lr() == straight[step]
        optimizer.step()
        scheduler.step()


def test_a_scheduler_can_be_pickled():
    scheduler = create_scheduler("warmup_stable_decay", probe(), **RUN, num_decay_steps=40)
    assert pickle.loads(pickle.dumps(scheduler)).get_last_lr() == scheduler.get_last_lr()


def test_shares_of_the_run_become_updates():
    shares = schedule_curve("warmup_stable_decay", num_training_steps=200, num_warmup_steps=0.07, num_decay_steps=0.2)
    updates = schedule_curve("warmup_stable_decay", num_training_steps=200, num_warmup_steps=14, num_decay_steps=40)
    assert [shares(step) for step in range(200)] == [updates(step) for step in range(200)]


def test_a_warmup_of_any_share_is_at_least_one_update():
    assert schedule_curve("linear", num_training_steps=10, num_warmup_steps=0.01)(0) == 0.0


def test_shares_that_add_up_to_the_run_fit_in_it():
    curve = schedule_curve("warmup_stable_decay", num_training_steps=101, num_warmup_steps=0.5, num_decay_steps=0.5)
    assert (curve(51), curve(101)) == (1.0, 0.0)  # 51 updates up, 50 down


@pytest.mark.parametrize(
    ("name", "arguments", "complaint"),
    [
        ("linaer", {}, "unknown scheduler 'linaer', did you mean 'linear'"),
        ("linear", {"min_lr_ration": 0.1}, "'linear' has no setting 'min_lr_ration', did you mean 'min_lr_ratio'"),
        ("constant", {"min_lr_ratio": 0.1}, r"no setting 'min_lr_ratio' \(known: warmup_shape, warmup_start\)"),
        ("linear", {"last_epoch": 5}, "'linear' has no setting 'last_epoch'"),
        ("linear", {"min_lr_ratio": 1.1}, r"min_lr_ratio must be a number in \[0, 1\], got 1.1"),
        ("linear", {"min_lr_ratio": "low"}, "min_lr_ratio must be a number"),
        ("linear", {"num_warmup_steps": 121}, r"num_warmup_steps must be a whole number of updates in \[0, 120\]"),
        ("linear", {"num_warmup_steps": -1}, "num_warmup_steps must be"),
        ("linear", {"num_warmup_steps": 1.5}, "num_warmup_steps must be"),
        ("linear", {"num_warmup_steps": float("nan")}, "num_warmup_steps must be"),
        ("linear", {"num_training_steps": 0}, "num_training_steps must be a whole number >= 1, got 0"),
        ("warmup_stable_decay", {}, "'warmup_stable_decay' needs num_decay_steps"),
        ("warmup_stable_decay", {"num_decay_steps": "long"}, "num_decay_steps must be .* got 'long'"),
        (
            "warmup_stable_decay",
            {"num_decay_steps": 0.5, "num_warmup_steps": 61},
            "num_warmup_steps 61 \\+ num_decay_steps 60 do not fit in the run's 120 updates",
        ),
        (
            "warmup_stable_decay",
            {"num_decay_steps": 40, "decay_shape": "lineal"},
            "decay_shape must be one of linear, cosine, one_minus_sqrt, power, got 'lineal'",
        ),
        (
            "warmup_stable_decay",
            {"num_decay_steps": 40, "decay_power": 3.0},
            "decay_power means something only beside decay_shape 'power', got None",
        ),
        ("cosine_restarts", {"num_cycles": 1.5}, r"num_cycles must be a whole number in \[1, 100\], got 1.5"),
        (
            "cosine_restarts",
            {"num_cycles": 10, "cycle_growth": 1e300},
            r"cycle_growth must .* in \[0.1, 10\]",
        ),
        ("cosine", {"num_cycles": 1e308}, r"num_cycles must be a number above 0 and at most 100, got 1e\+308"),
        (
            "power",
            {"num_plateau_steps": 1, "num_decay_steps": 0.1, "exponent": 5000},
            "exponent .* at most 10",
        ),
        ("polynomial", {"power": 1e9}, "power must be a number above 0 and at most 100"),
        ("slanted_triangular", {"ratio": 1e308}, r"ratio must be a number in \[1, 1e6\]"),
        ("noam", {"num_rise_steps": 5, "d_model": 10**400}, r"d_model must be a whole number in \[1, 1000000\]"),
        ("linear", {"num_warmup_steps": 500.0}, "got 500$"),
        ("step", {}, "'step' needs step_size"),
        ("step", {"step_size": 0}, "step_size must be at least one update, got 0"),
        ("step", {"step_size": 10, "gamma": 0}, r"gamma must be a number in \(0, 1\], got 0"),
        ("multistep", {"milestones": 30}, "milestones must be a list of lengths, got 30"),
        ("multistep", {"milestones": [30, 130]}, r"milestones must be a whole number of updates in \[0, 120\]"),
        ("linear", {"warmup_shape": "cosine"}, "warmup_shape needs a warmup .* got none"),
        (
            "linear",
            {"num_warmup_steps": 10, "warmup_shape": "exponential"},
            "an exponential warmup needs a warmup_start above 0, got 0",
        ),
        ("linear", {"num_warmup_steps": 10, "warmup_start": 2}, r"warmup_start must be a number in \[0, 1\], got 2"),
        ("sequence", {"phases": []}, r"phases must be a list of phases, got \[\]"),
        ("sequence", {"phases": [{"scheduler": "linea"}]}, "phase 1 must be a mapping with a scheduler .* got"),
        ("sequence", {"phases": [{"scheduler": "linear"}] * 2}, r"phase 1 \(linear\) needs num_steps"),
        (
            "sequence",
            {"phases": [{"scheduler": "linear", "num_step": 70}, {"scheduler": "linear"}]},
            r"phase 1 \(linear\) has no setting 'num_step', did you mean 'num_steps'\? \(known: .*peak, min_lr_ratio",
        ),
        ("sequence", {"phases": [{"scheduler": "linear", "paek": 0.5}]}, "'paek', did you mean 'peak'"),
        (
            "sequence",
            {"phases": [{"scheduler": "linear", "num_steps": 70}] * 2},
            "phases 1 to 2 of 140 updates do not fit in 120",
        ),
        (
            "sequence",
            {"phases": [{"scheduler": "linear", "num_steps": 70}]},
            "the phases leave 50 updates of the run without a curve",
        ),
        ("sequence", {"phases": [{"scheduler": "linear", "peak": 0}]}, "peak of phase 1 must be a number in"),
        ("sequence", {"phases": [{"scheduler": "reduce_on_plateau"}]}, "follows an evaluation's metric"),
        (
            "sequence",
            {"phases": PHASES, "num_warmup_steps": 5},
            "takes no warmup, .*: set num_warmup_steps of a phase",
        ),
        ("reduce_on_plateau", {}, "'reduce_on_plateau' follows an evaluation's metric: it has no curve"),
    ],
    ids=str,
)
def test_a_mistake_is_refused_with_what_was_expected(name, arguments, complaint):
    with pytest.raises(UserError, match=complaint):
        schedule_curve(name, **{"num_training_steps": 120, **arguments})


@pytest.mark.parametrize("name", ["noam", "one_cycle", "slanted_triangular"])
def test_a_curve_with_a_rise_of_its_own_refuses_a_warmup_and_says_what_to_set(name):
    with pytest.raises(UserError, match=f"'{name}' takes no warmup, got 12 updates: set num_rise_steps"):
        schedule_curve(name, num_training_steps=120, num_warmup_steps=0.1, num_rise_steps=20)
    with pytest.raises(UserError, match=f"'{name}' has no setting 'warmup_start'"):
        schedule_curve(name, num_training_steps=120, num_rise_steps=20, warmup_start=0.5)


def test_a_warmup_goes_over_milestones_and_before_anything_else():
    milestones = schedule_curve("multistep", **RUN, milestones=[5, 20], gamma=0.5)
    assert [milestones(step) for step in (4, 5, 19, 20)] == [0.4, 0.25, 0.5, 0.25]
    steps = schedule_curve("step", **RUN, step_size=0.5)
    assert [steps(step) for step in (59, 60)] == [1.0, 0.1]


def test_a_warmup_has_a_shape_and_a_start():
    curve = schedule_curve("linear", **RUN, warmup_shape="exponential", warmup_start=0.01)
    assert [curve(step) for step in (0, 5, 10, 65)] == pytest.approx([0.01, 0.1, 1.0, 0.5])


def test_lengths_are_also_tokens_and_epochs():
    units = {"tokens_per_update": 1000, "updates_per_epoch": 30}
    curve = schedule_curve("step", **RUN, step_size="1 epoch", **units)
    assert [curve(step) for step in (29, 30, 60)] == pytest.approx([1.0, 0.1, 0.01])
    curve = schedule_curve(
        "warmup_stable_decay",
        num_training_steps=120,
        num_warmup_steps="9.5k tokens",
        num_decay_steps="1 epoch",
        **units,
    )
    assert [curve(step) for step in (5, 10, 90, 120)] == [0.5, 1.0, 1.0, 0.0]


def test_a_unit_without_its_rate_says_what_is_missing():
    with pytest.raises(UserError, match="num_warmup_steps of '2M tokens' needs the tokens of one update"):
        schedule_curve("linear", num_training_steps=120, num_warmup_steps="2M tokens")


def test_a_default_length_that_does_not_fit_is_refused_too():
    with pytest.raises(UserError, match=r"num_rise_steps \(not given: its default\) must be .* \[0, 120\], .* 4000"):
        schedule_curve("noam", num_training_steps=120)
    with pytest.raises(UserError, match=r"^num_rise_steps must be"):
        schedule_curve("noam", num_training_steps=120, num_rise_steps=4000)


def test_the_length_of_a_run_is_no_shape():
    for name, word, instead in [
        ("linear", "num_warmup_steps", "set warmup_steps"),
        ("linear", "num_training_steps", "set max_steps"),
        ("one_cycle", "num_warmup_steps", "set num_rise_steps"),
    ]:
        with pytest.raises(UserError, match=f"'{name}' has no setting '{word}': {instead}"):
            bind_curve(SCHEDULERS[name], RunScale(120), 0, {word: 5})


def test_curves_are_checked_and_drawn_without_torch():
    program = (
        "import sys; from hf_strategies.schedulers import schedule_curve\n"
        "schedule_curve('linear', num_training_steps=9)(3); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    ("warmup", "shape", "complaint"),
    [
        (5, {}, "'reduce_on_plateau' takes no warmup, got 5 updates: leave it out"),
        (0, {"warmup_shape": "linear"}, "no setting 'warmup_shape'"),
        (0, {"factor": 1.5}, r"factor must be a number in \(0, 1\), got 1.5"),
        (0, {"patince": 3}, "did you mean 'patience'"),
        (0, {"patience": 0.5}, "patience must be a whole number of evaluations"),
    ],
)
def test_what_follows_a_metric_is_checked_as_curves_are(warmup, shape, complaint):
    with pytest.raises(UserError, match=complaint):
        check_schedule(SCHEDULERS["reduce_on_plateau"], RunScale(120), warmup, shape)


@pytest.mark.parametrize("updates", [1, 7, 10**9])
@pytest.mark.parametrize(
    ("name", "shape"),
    [
        *[("cosine_restarts", {"num_cycles": 100, "cycle_growth": growth}) for growth in (0.1, 10)],
        ("cosine", {"num_cycles": 100}),
        ("polynomial", {"power": 100}),
        ("power", {"num_plateau_steps": 0, "num_decay_steps": 0, "exponent": 10, "min_lr_ratio": 1.0}),
        ("slanted_triangular", {"ratio": 1e6}),
        ("noam", {"num_rise_steps": 1, "d_model": 10**6}),
        ("exponential", {"gamma": 5e-324, "num_period_steps": 1}),
    ],
)
def test_the_ends_of_what_is_allowed_are_curves(name, shape, updates):
    curve = schedule_curve(name, num_training_steps=updates, **shape)
    assert all(0.0 <= curve(step) <= 1.0 for step in {0, 1, updates // 3, updates - 1, updates, 2 * updates})


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ({"step_size": 120}, "the rate never steps: step_size 120 comes after 120 updates, and the run has 120"),
        ({"step_size": "30 epochs"}, "step_size 30 epochs comes after 300 updates"),
        ({"milestones": [120]}, "the rate never steps: milestones"),
        ({"step_size": 119}, None),
        ({"step_size": 0.99}, None),
        ({"milestones": [500, 60]}, None),
        ({"num_decay_steps": 0}, None),
    ],
)
def test_a_step_that_is_never_come_to_is_said(shape, said):
    found = unreached(RunScale(120, None, 10), shape)
    assert found is None if said is None else said in found
