import math
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageColor

from hf_strategies.reports.loss_plot import describe_end, draw_loss
from hf_strategies.reports.palette import LIGHT


def logs(losses, **more):
    return [{"event": "log", "step": step, "loss": loss, **more} for step, loss in enumerate(losses, start=1)]


def count_pixels(path, color):
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    return int((np.abs(pixels - ImageColor.getrgb(LIGHT[color])).sum(axis=-1) < 24).sum())


def test_a_run_is_drawn_sharp_and_small(run_events, tmp_path):
    draw_loss(run_events, tmp_path / "loss.png", title="A run")
    with Image.open(tmp_path / "loss.png") as image:
        assert image.format == "PNG"
        assert image.width == 1600
    assert (tmp_path / "loss.png").stat().st_size < 80_000
    assert all(count_pixels(tmp_path / "loss.png", color) > 1000 for color in ("train", "eval", "rate", "norm"))


def test_panels_without_values_are_left_out(run_events, tmp_path):
    draw_loss(run_events, tmp_path / "all.png")
    draw_loss([event for event in run_events if event["event"] == "eval"], tmp_path / "evaluation.png")
    heights = [Image.open(tmp_path / name).height for name in ("all.png", "evaluation.png")]
    assert heights[0] - heights[1] == pytest.approx(2 * 1.1 * 160, abs=1)  # two panels of 1.1 inch
    assert count_pixels(tmp_path / "evaluation.png", "train") == 0


@pytest.mark.parametrize(
    "events",
    [
        [],
        logs([3.2], grad_norm=1.0, learning_rate=0.0),
        logs([math.nan] * 5),
        logs([3.0, math.nan, 2.0, math.inf], grad_norm=math.inf, learning_rate=1e-5),
    ],
    ids=["nothing", "one value", "only NaN", "gaps"],
)
def test_odd_runs_have_a_picture_too(events, tmp_path):
    draw_loss(events, tmp_path / "loss.png")
    assert Image.open(tmp_path / "loss.png").width == 1600


def test_one_value_is_a_dot_that_can_be_seen(tmp_path):
    draw_loss(logs([3.2]), tmp_path / "one.png")
    draw_loss(logs([math.nan]), tmp_path / "none.png")
    in_legend = count_pixels(tmp_path / "none.png", "train")
    assert count_pixels(tmp_path / "one.png", "train") - in_legend > 50


def test_the_caption_says_where_the_losses_ended():
    events = [*logs([5.0] * 100), {"event": "eval", "step": 50, "eval_loss": 4.5}]
    assert describe_end(events) == "training loss 5 at step 100 (smoothed), evaluation loss 4.5 at step 50"
    events.append({"event": "eval", "step": 1100, "eval_loss": 4.75, "eval_bits_per_byte": 1.25})
    assert describe_end(events).endswith(
        "evaluation loss 4.75 at step 1,100 (best 4.5 at step 50), 1.25 bits per byte"
    )
    assert describe_end([]) == "no loss was logged"


def test_drawing_leaves_pyplot_alone_and_importing_loads_neither_matplotlib_nor_torch(tmp_path):
    source = (
        "import sys, pathlib\n"
        "from hf_strategies.reports import draw_loss\n"
        "assert not {'matplotlib', 'torch'} & sys.modules.keys()\n"
        "draw_loss([], pathlib.Path(sys.argv[1]))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", source, tmp_path / "loss.png"], env=environment, check=True)
