import pickle
import subprocess
import sys

import pytest
import torch
from transformers import get_scheduler

from hf_strategies.errors import UserError
from hf_strategies.registry import Entry
from hf_strategies.schedulers import SCHEDULERS, bind_curve, create_scheduler, schedule_curve

RUN = {"num_training_steps": 120, "num_warmup_steps": 10}


def probe(*rates: float) -> torch.optim.Optimizer:
    return torch.optim.SGD([{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates or (1.0,)])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (("constant", {}), ("constant_with_warmup", {})),
        (("linear", {}), ("linear", {})),
        (("cosine", {}), ("cosine", {})),
        (("cosine", {"min_lr_ratio": 0.1}), ("cosine_with_min_lr", {"min_lr_rate": 0.1})),
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
    by_number = create_scheduler("cosine", _started(0.3), **RUN, last_epoch=49)
    assert by_number.get_last_lr() == straight[50]
    for step in range(50, 120):
        assert scheduler.get_last_lr() == straight[step]
        optimizer.step()
        scheduler.step()


def _started(rate: float) -> torch.optim.Optimizer:
    optimizer = probe(rate)
    optimizer.param_groups[0]["initial_lr"] = rate  # what a scheduler notes when a run starts
    return optimizer


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
        ("constant", {"min_lr_ratio": 0.1}, r"'constant' has no setting 'min_lr_ratio' \(known: none\)"),
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
            "decay_shape must be one of linear, cosine, one_minus_sqrt, got 'lineal'",
        ),
    ],
    ids=str,
)
def test_a_mistake_is_refused_with_what_was_expected(name, arguments, complaint):
    with pytest.raises(UserError, match=complaint):
        schedule_curve(name, **{"num_training_steps": 120, **arguments})


def triangle(step: int, num_training_steps: int, *, num_warmup_steps: int) -> float:
    return step / num_warmup_steps if step < num_warmup_steps else 1 - step / num_training_steps


def test_a_curve_with_a_warmup_of_its_own_sees_the_whole_run():
    entry = Entry(name="triangle", target=triangle, summary="", facts={"own_warmup": True})
    curve = bind_curve(entry, 10, 0.4, {})
    assert [curve(step) for step in (0, 2, 4, 10)] == [0.0, 0.5, 0.6, 0.0]
    with pytest.raises(UserError, match="no setting 'num_cycles'"):
        bind_curve(entry, 10, 4, {"num_cycles": 2})


def test_the_length_of_a_run_is_no_shape():
    for word in ("num_warmup_steps", "num_training_steps"):
        with pytest.raises(UserError, match=f"'linear' has no setting '{word}'"):
            bind_curve(SCHEDULERS["linear"], 120, 0, {word: 5})


def test_curves_are_checked_and_drawn_without_torch():
    program = (
        "import sys; from hf_strategies.schedulers import schedule_curve\n"
        "schedule_curve('linear', num_training_steps=9)(3); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
