import math
import re

import pytest

from hf_strategies.errors import UserError
from hf_strategies.schedulers import RunScale
from hf_strategies.schedulers.lengths import UNKNOWN

RUN = RunScale(num_training_steps=400, tokens_per_update=2048, updates_per_epoch=150)


@pytest.mark.parametrize(
    ("length", "updates"),
    [
        (0, 0),
        (40, 40),
        (40.0, 40),
        (0.05, 20),
        ("204800 tokens", 100),
        ("0.2M tokens", 97),  # 200,000 / 2,048 = 97.7
        ("1 epoch", 150),
        ("2.5 epochs", 375),
        ("4k tokens", 1),  # 1.95
    ],
)
def test_every_unit_becomes_whole_updates(length, updates):
    assert RUN.updates("num_decay_steps", length) == updates


def test_a_part_of_an_update_is_rounded_as_asked():
    assert RUN.updates("num_warmup_steps", "1k tokens", rounding=math.ceil) == 1
    assert RunScale(100).updates("num_warmup_steps", 0.07, rounding=math.ceil) == 7  # 0.07 * 100 is a little more


@pytest.mark.parametrize(
    "length",
    ["many", "5", "3 bytes", "-1 epoch", "1e999 tokens", "1.2.3 tokens", "", -1, 1.5, math.nan, True, None, [3]],
)
def test_anything_else_is_refused(length):
    with pytest.raises(UserError, match=r'num_decay_steps must be a whole number .*, "2M tokens" or "3 epochs"'):
        RUN.updates("num_decay_steps", length)


def test_a_length_beyond_the_run_is_refused_unless_it_may_be():
    with pytest.raises(UserError, match="num_decay_steps of '3 epochs' is 450 updates: longer than the run's 400"):
        RUN.updates("num_decay_steps", "3 epochs")
    with pytest.raises(UserError, match=r"in \[0, 400\], .* got 401"):
        RUN.updates("num_decay_steps", 401)
    assert RUN.updates("step_size", "3 epochs", bounded=False) == 450


@pytest.mark.parametrize(
    ("scale", "units"),
    [
        ((400,), "in [0, 400], or a share of the run in (0, 1), got -4"),
        ((400, 2048), 'in [0, 400], a share of the run in (0, 1) or "2M tokens", got -4'),
        ((400, None, 150), 'in [0, 400], a share of the run in (0, 1) or "3 epochs", got -4'),
        ((UNKNOWN, 2048), '>= 0, a share of the run in (0, 1) or "2M tokens", got -4'),
    ],
)
def test_only_what_would_be_taken_is_listed(scale, units):
    with pytest.raises(UserError, match=re.escape(f"num_decay_steps must be a whole number of updates {units}")):
        RunScale(*scale).updates("num_decay_steps", -4)


def test_a_unit_whose_rate_is_not_known_says_what_is_missing():
    with pytest.raises(UserError, match=r"needs the tokens of one update \(tokens_per_update\), got none"):
        RunScale(400).updates("num_decay_steps", "2M tokens")
    with pytest.raises(UserError, match=r"needs the updates of one epoch \(updates_per_epoch\), got none"):
        RunScale(400).updates("num_decay_steps", "3 epochs")
