import pytest
import torch
from transformers import Trainer, TrainerCallback

from hf_strategies.arguments.schedule_checks import curved
from hf_strategies.callbacks.hyperparameter_curve import (
    HyperparameterCurveCallback,
    hyperparameters_of,
    set_hyperparameter,
)
from hf_strategies.errors import UserError
from hf_strategies.optimizers import OPTIMIZERS, OptimizerFactory, create_optimizer
from hf_strategies.schedulers import schedule_curve
from hf_strategies.schedulers.value_curves import ValueCurve


class Watcher(TrainerCallback):
    """Notes what the optimizer is about to use, group by group."""

    def __init__(self, name: str) -> None:
        self.name, self.seen = name, []

    def on_pre_optimizer_step(self, args, state, control, optimizer=None, **kwargs):
        self.seen.append([group[self.name] for group in optimizer.param_groups])


def run(model, rows, args, *callbacks, **resume) -> Trainer:
    factory = (OptimizerFactory, {"name": "adamw", "lr": 1e-3, "weight_decay": 0.2})
    trainer = Trainer(model, args, train_dataset=rows, callbacks=list(callbacks), optimizer_cls_and_kwargs=factory)
    trainer.train(**resume)
    return trainer


def test_weight_decay_follows_the_curve_where_there_is_any(tiny_lm, token_rows, arguments):
    watcher = Watcher("weight_decay")
    run(tiny_lm, token_rows, arguments(max_steps=8), HyperparameterCurveCallback("weight_decay", "linear"), watcher)
    for step, decays in enumerate(watcher.seen):
        assert sorted(set(decays)) == pytest.approx([0.0, 0.2 * (1 - step / 8)])  # norms, and all else


def test_a_value_goes_between_the_two_that_are_asked_for(tiny_lm, token_rows, arguments):
    watcher = Watcher("weight_decay")
    shape = {"num_warmup_steps": 4, "warmup_shape": "linear"}
    callback = HyperparameterCurveCallback("weight_decay", "constant", shape, at_zero=0.1, at_one=0.5)
    run(tiny_lm, token_rows, arguments(max_steps=5), callback, watcher)
    assert [group[0] for group in watcher.seen] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])


def test_one_cycles_momentum_is_torchs():
    curve = ValueCurve("momentum", "one_cycle", {"start_ratio": 0.0, "final_ratio": 0.0}, at_zero=0.95, at_one=0.85)
    factor = schedule_curve("one_cycle", num_training_steps=100, start_ratio=0.0, final_ratio=0.0)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0, momentum=0.9)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2.0, total_steps=100)
    for step in range(100):
        assert optimizer.param_groups[0]["momentum"] == pytest.approx(curve.value(factor(step), 0.9), rel=1e-9)
        optimizer.step()
        if step < 99:
            theirs.step()


@pytest.mark.parametrize("place", [0, 1])
def test_a_beta_is_one_of_two(tiny_lm, token_rows, arguments, place):
    watcher = Watcher("betas")
    callback = HyperparameterCurveCallback(f"beta{place + 1}", "linear", at_zero=0.5)
    run(tiny_lm, token_rows, arguments(max_steps=4), callback, watcher)
    own = watcher.seen[0][0]
    moved = [group[0][place] for group in watcher.seen]
    assert moved == pytest.approx([0.5 + (own[place] - 0.5) * left for left in (1.0, 0.75, 0.5, 0.25)])
    assert {group[0][1 - place] for group in watcher.seen} == {own[1 - place]}


def test_lengths_are_also_tokens_and_epochs(tiny_lm, token_rows, arguments):
    # 32 rows of 16 tokens, 4 a batch: 8 updates an epoch, 64 tokens each.
    for length, updates in (("1 epoch", 8), ("250 tokens", 4)):
        watcher = Watcher("weight_decay")
        shape = {"step_size": length, "gamma": 0.5}
        callback = HyperparameterCurveCallback("weight_decay", "step", shape, tokens_per_sample=16)
        run(tiny_lm, token_rows, arguments(max_steps=10), callback, watcher)
        assert [group[0] for group in watcher.seen].index(0.1) == updates


def test_a_curve_may_span_another_run_and_holds_past_its_end(tiny_lm, token_rows, arguments):
    watcher = Watcher("weight_decay")
    callback = HyperparameterCurveCallback("weight_decay", "linear", at_zero=0.1, num_training_steps=4)
    run(tiny_lm, token_rows, arguments(max_steps=6), callback, watcher)
    assert [group[0] for group in watcher.seen] == pytest.approx([0.2, 0.175, 0.15, 0.125, 0.1, 0.1])


def test_a_decay_that_is_independent_of_the_rate_follows_the_curve_in_the_users_units(tiny_lm):
    settings = {"lr": 1e-3, "weight_decay": 0.01, "decay": "independent"}
    groups = create_optimizer("adamw", tiny_lm, **settings).param_groups
    assert {group["initial_weight_decay"] for group in groups} == {0.01, 0.0}  # of weights, and of norms
    set_hyperparameter(groups[0], "weight_decay", 0.005)
    assert groups[0]["weight_decay"] * groups[0]["lr"] == pytest.approx(0.005)  # what a step takes of a weight


@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_what_a_command_line_admits_is_a_number_in_the_groups(tiny_lm, name):
    if "package" in OPTIMIZERS[name].facts:
        pytest.importorskip(OPTIMIZERS[name].facts["package"])
    optimizer = create_optimizer(name, tiny_lm, lr=1e-3, weight_decay=0.1)
    assert curved(name) <= set().union(*map(hyperparameters_of, optimizer.param_groups))


def test_resuming_changes_nothing(tiny_lm, token_rows, arguments, tmp_path):
    args = arguments(max_steps=6, save_strategy="steps", save_steps=3)
    straight, resumed = Watcher("weight_decay"), Watcher("weight_decay")
    run(tiny_lm, token_rows, args, HyperparameterCurveCallback("weight_decay", "cosine"), straight)
    weights = [param.detach().clone() for param in tiny_lm.parameters()]
    checkpoint = {"resume_from_checkpoint": f"{tmp_path}/out/checkpoint-3"}
    run(tiny_lm, token_rows, args, HyperparameterCurveCallback("weight_decay", "cosine"), resumed, **checkpoint)
    assert resumed.seen == straight.seen[3:]
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(tiny_lm.parameters(), weights, strict=True))


def test_a_second_training_begins_with_the_groups_own_value(tiny_lm, token_rows, arguments):
    watcher = Watcher("weight_decay")
    callback = HyperparameterCurveCallback("weight_decay", "cosine")
    run(tiny_lm, token_rows, arguments(max_steps=3), callback, watcher).train()
    assert watcher.seen[3:] == watcher.seen[:3]


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        (("weight_decay", "linaer"), "unknown scheduler 'linaer', did you mean 'linear'"),
        (("weight_decay", "linear", {"min_lr_ration": 0.1}), "has no setting 'min_lr_ration'"),
        (("weight_decay", "reduce_on_plateau"), "follows an evaluation's metric"),
        (("weight_decay", "linear", None, -0.1), "at_zero of weight_decay must be a finite number >= 0, got -0.1"),
        (("beta1", "linear", None, 0.0, 1.0), r"at_one of beta1 must be a number in \[0, 1\), got 1.0"),
        (("lr", "linear"), "the learning rate follows scheduler"),
    ],
)
def test_a_curve_that_cannot_be_is_refused_at_once(settings, complaint):
    with pytest.raises(UserError, match=complaint):
        HyperparameterCurveCallback(*settings)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        (
            ("wieght_decay", "linear"),
            r"did you mean 'weight_decay'\? \(known: beta1,",
        ),
        (
            ("weight_decay", "linear", None, 0.0, 1000.0),
            "must take less than all of a weight in a step, got 1000 times a learning rate of 0.001",
        ),
        (("weight_decay", "step", {"step_size": "5 tokens"}), "needs the tokens of one update"),
        (("weight_decay", "linear", {"num_warmup_steps": 9}), r"num_warmup_steps must be .* \[0, 2\]"),
    ],
)
def test_a_curve_that_does_not_fit_the_run_is_refused_as_it_begins(
    tiny_lm, token_rows, arguments, settings, complaint
):
    with pytest.raises(UserError, match=complaint):
        run(tiny_lm, token_rows, arguments(max_steps=2), HyperparameterCurveCallback(*settings))


def test_nothing_to_change_is_said(tiny_lm, token_rows, arguments):
    callback = HyperparameterCurveCallback("weight_decay", "linear", at_one=0.1)
    with pytest.raises(UserError, match="every parameter group has it at 0"):
        Trainer(tiny_lm, arguments(max_steps=2), train_dataset=token_rows, callbacks=[callback]).train()


def test_a_setting_is_one_mapping():
    curve = ValueCurve.from_setting("momentum", {"scheduler": "cosine", "at_zero": 0.8, "min_lr_ratio": 0.5})
    assert curve == ValueCurve("momentum", "cosine", {"min_lr_ratio": 0.5}, at_zero=0.8)
    with pytest.raises(UserError, match="must be a mapping with a scheduler, got 'cosine'"):
        ValueCurve.from_setting("momentum", "cosine")
