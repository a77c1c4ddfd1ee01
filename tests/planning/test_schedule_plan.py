import pytest
from PIL import Image

from hf_strategies.arguments import parse_arguments
from hf_strategies.errors import UserError
from hf_strategies.planning.schedule_drawing import draw_schedule, plot_text
from hf_strategies.planning.schedule_plan import PlannedCurve, plan_schedule
from hf_strategies.schedulers import schedule_curve

CURVES = '{"weight_decay": {"scheduler": "cosine", "at_zero": 0.02}}'


def plan(*argv: str, updates_per_epoch: int | None = None) -> list[PlannedCurve]:
    arguments = parse_arguments(argv, description="A test.", default_recipe="pretrain")
    return plan_schedule(arguments, updates_per_epoch)


def test_the_plan_is_what_a_run_would_use():
    rate, decay = plan("--learning_rate", "1e-2", "--warmup_steps", "204800 tokens", "--hyperparameter_curves", CURVES)
    linear = schedule_curve("linear", num_training_steps=400, num_warmup_steps=100)
    assert rate.values == pytest.approx([1e-2 * linear(step) for step in range(400)])
    cosine = schedule_curve("cosine", num_training_steps=400)
    assert decay.values == pytest.approx([0.02 + 0.08 * cosine(step) for step in range(400)])


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
        ([1.0, 0.5, 1.0], "begins at 1, is there again until update 3"),
        ([1.0, 1.0], "begins at 1, stays there until update 2"),
    ],
)
def test_a_curve_is_described_in_numbers(values, said):
    assert PlannedCurve(name="learning_rate", scheduler="linear", values=values).describe() == said


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (["--max_steps", "-1"], "add --max_steps"),
        (["--lr_scheduler_type", "cosine"], "'cosine' is the host's own"),
        (["--scheduler", "reduce_on_plateau"], "it has no curve to draw"),
        (["--hyperparameter_curves", '{"momentum": {"scheduler": "linear"}}', "--optimizer", "sgd"], "as at_one"),
    ],
)
def test_what_cannot_be_drawn_is_said(argv, complaint):
    with pytest.raises(UserError, match=complaint):
        plan(*argv)


def test_a_plot_in_characters():
    assert plot_text([0.0, 1.0, 2.0, 2.0, 0.0], width=5, height=3).splitlines() == [
        "         2 |  ***",
        "           | ** *",
        "         0 |**  *",
        "           +-----",
        "            1   5",
    ]


def test_a_plot_fits_a_terminal_and_misses_no_jump():
    values = [1.0] * 10_000
    values[5_000] = 0.0
    lines = plot_text(values).splitlines()
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
