"""When a run saves and stops, as a command line asks for it."""

import pytest

from hf_strategies.arguments import parse_arguments
from hf_strategies.arguments.resolved import differences, resolved_settings
from hf_strategies.errors import UserError


def parse(*argv: str):
    return parse_arguments(argv, description="A test.", default_recipe="pretrain")


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (("--max_hours", "0"), "--max_hours: max_hours must be above 0, and finite, got 0"),
        (("--save_minutes", "-1"), "--save_minutes: save_minutes must be above 0, and finite, got -1"),
        (("--hang_timeout", "nan"), "--hang_timeout: hang_timeout must be above 0, and finite, got nan"),
        (("--save_at_steps", "10", "0"), "--save_at_steps: save_at_steps must be whole numbers of at least 1"),
        (("--save_at_steps", "10", "1.5"), "--save_at_steps: save_at_steps must be whole numbers of at least 1"),
        (("--save_at_steps", "\u00b2"), "--save_at_steps: save_at_steps must be whole numbers of at least 1"),
        (
            ("--allow_change", "lerning_rate"),
            "--allow_change: there is no setting 'lerning_rate' to change, did you mean",
        ),
        (
            ("--allow_change", "data", "hidden_size"),
            "--allow_change: hidden_size cannot change: the checkpoint's weights",
        ),
        (
            ("--save_only_model",),
            "--save_only_model: save_only_model does not go with this script: a run could not go on",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(flags, expected):
    with pytest.raises(UserError) as caught:
        parse(*flags)
    assert expected in str(caught.value)


def test_a_run_is_the_same_run_whenever_it_saves_and_stops():
    earlier = resolved_settings(parse("--max_steps", "9"))
    now = parse(
        *("--max_steps", "9", "--max_hours", "2", "--save_minutes", "5", "--save_at_steps", "3", "7"),
        *("--hang_timeout", "none"),
    )
    assert now.run.save_at_steps == ["3", "7"]
    assert now.run.hang_timeout is None
    assert not differences(earlier, now)
