import json

import pytest
import torch
from PIL import Image

from hf_strategies.arguments import parse_arguments
from hf_strategies.errors import UserError
from hf_strategies.planning.planned_curve import PlannedCurve
from hf_strategies.planning.schedule_drawing import draw_schedule, plot_text
from hf_strategies.planning.schedule_plan import MOST_SAMPLES, plan_schedule
from hf_strategies.schedulers import schedule_curve

CURVES = '{"weight_decay": {"scheduler": "cosine", "at_zero": 0.02}}'


def plan(*argv: str, updates_per_epoch: int | None = None) -> list[PlannedCurve]:
    arguments = parse_arguments(argv, description="A test.", default_recipe="pretrain")
    return plan_schedule(arguments, updates_per_epoch).curves


def test_the_plan_is_what_a_run_would_use():
    rate, decay = plan("--learning_rate", "1e-2", "--warmup_steps", "204800 tokens", "--hyperparameter_curves", CURVES)
    linear = schedule_curve("linear", num_training_steps=400, num_warmup_steps=100)
    assert list(rate.values.values()) == pytest.approx([1e-2 * linear(step) for step in range(400)])
    cosine = schedule_curve("cosine", num_training_steps=400)
    assert list(decay.values.values()) == pytest.approx([0.02 + 0.08 * cosine(step) for step in range(400)])


def test_epochs_are_what_the_user_says_they_are():
    flags = ["--scheduler", "step", "--scheduler_kwargs", "step_size=2 epochs", "--warmup_steps", "0"]
    (rate,) = plan(*flags, "--learning_rate", "1", updates_per_epoch=100)
    assert [rate.values[update] for update in (0, 199, 200, 399)] == pytest.approx([1, 1, 0.1, 0.1])
    with pytest.raises(UserError, match="needs the updates of one epoch"):
        plan(*flags)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([0.0, 0.5, 1.0, 1.0, 0.25], "from 0 up to 1 in 2 updates, stays there until update 4, ends at 0.25"),
        ([1.0, 0.5, 0.1], "begins at 1, ends at 0.1"),
        ([1.0, 0.5, 1.0], "begins at 1, dips to 0.5 and is there again at update 3"),
        ([0.5, 0.1, 1.0], "begins at 0.5, dips to 0.1, rises to 1 at update 3"),
        ([1.0, 0.0, 0.6, 0.0], "begins at 1, falls and rises to 0.6 at update 3, ends at 0"),
        ([0.0, 1.0, 0.5, 0.5, 0.2], "from 0 up to 1 in 1 updates, ends at 0.2"),
        ([1.0, 1.0], "begins at 1, stays there until update 2"),
    ],
)
def test_a_curve_is_described_in_numbers(values, said):
    assert PlannedCurve(name="learning_rate", scheduler="linear", values=dict(enumerate(values))).describe() == said


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (["--max_steps", "-1"], "add --updates_per_epoch or --max_steps"),
        (["--warmup_steps", "3 epochs"], "--warmup_steps: warmup_steps of '3 epochs' needs the updates of one epoch"),
        (["--lr_scheduler_type", "cosine"], "'cosine' is the host's own"),
        (["--scheduler", "reduce_on_plateau"], "it has no curve to draw"),
        (["--hyperparameter_curves", '{"momentum": {"scheduler": "linear"}}', "--optimizer", "sgd"], "as at_one"),
    ],
)
def test_what_cannot_be_drawn_is_said(argv, complaint):
    with pytest.raises(UserError, match=complaint):
        plan(*argv)


def test_a_plot_in_characters():
    assert plot_text(dict(enumerate([0.0, 1.0, 2.0, 2.0, 0.0])), width=5, height=3).splitlines() == [
        "         2 |  ***",
        "           | ** *",
        "         0 |**  *",
        "           +-----",
        "            1   5",
    ]


def test_a_plot_fits_a_terminal_and_misses_no_jump():
    values = [1.0] * 10_000
    values[5_000] = 0.0
    lines = plot_text(dict(enumerate(values))).splitlines()
    assert max(map(len, lines)) <= 80
    assert "*" in lines[11]


def test_a_picture_is_drawn_for_every_curve(tmp_path):
    heights = []
    for curves in (plan(), plan("--hyperparameter_curves", CURVES)):
        draw_schedule(curves, tmp_path / "schedule.png", title="pretrain")
        with Image.open(tmp_path / "schedule.png") as image:
            assert image.width == 1600
            heights.append(image.height)
    assert heights[1] > heights[0] + 400


def test_a_long_run_is_sampled_and_its_peak_found_to_the_update():
    shape = "num_decay_steps=0.123456789"
    flags = ["--scheduler", "warmup_stable_decay", "--scheduler_kwargs", shape, "--max_steps", "1000000000"]
    (rate,) = plan(*flags, "--warmup_steps", "1234567", "--learning_rate", "1")
    assert MOST_SAMPLES <= len(rate.values) < 1.1 * MOST_SAMPLES
    assert rate.held == (1_234_567, 1_000_000_000 - 123_456_789)  # the first update of the fall has lost nothing yet
    assert rate.num_updates == 10**9
    assert len(plot_text(rate.values).splitlines()) == 14


def test_epochs_have_a_length_once_it_is_said():
    (rate,) = plan("--max_steps", "-1", "--num_train_epochs", "2.5", "--warmup_steps", "0", updates_per_epoch=30)
    assert rate.num_updates == 75


def test_a_curve_that_never_steps_is_noted():
    flags = ["--scheduler", "step", "--scheduler_kwargs", "step_size=400", "--warmup_steps", "0"]
    arguments = parse_arguments(flags, description="A test.", default_recipe="pretrain")
    (note,) = plan_schedule(arguments, None).notes
    assert note.startswith("the rate never steps")


def test_a_cooldown_is_drawn_with_its_trunk_before_it(tmp_path):
    checkpoint = tmp_path / "checkpoint-6"
    checkpoint.mkdir()
    curves = {"weight_decay": {"scheduler": "linear", "at_one": 0.2}}
    trunk = {"optimizer": "adamw", "scheduler": "constant", "learning_rate": 1e-2, "hyperparameter_curves": curves}
    (tmp_path / "resolved_config.yaml").write_text(json.dumps({"architecture": "transformer_pp", **trunk}))
    (checkpoint / "trainer_state.json").write_text('{"global_step": 6, "max_steps": 20, "epoch": 0.5}')
    torch.save({"base_lrs": [1e-2], "_last_lr": [1e-2]}, checkpoint / "scheduler.pt")
    rate, decay = plan("--cooldown_from", str(checkpoint), "--cooldown_steps", "4")
    expected = [1e-2] * 7 + [0.75e-2, 0.5e-2, 0.25e-2]
    assert list(rate.values.values()) == pytest.approx(expected)
    assert list(decay.values.values()) == pytest.approx([0.2 * (1 - step / 20) for step in range(10)])  # the trunk's
