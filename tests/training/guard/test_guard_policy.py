import pytest

from hf_strategies.errors import UserError
from hf_strategies.training.guard.policy import FORGIVEN_AFTER, Action, GuardOptions, Policy


def actions(policy, story):
    """Decide over a story of good (+) and bad (-) updates; a stop is written X."""
    letters = {Action.TAKE: "t", Action.SKIP: "s", Action.ROLLBACK: "r", Action.STOP: "X"}
    return "".join(letters[policy.decide(is_bad=update == "-")] for update in story)


def test_patience_doubles_after_each_return_and_then_the_run_stops():
    policy = Policy(GuardOptions(patience=2, rollbacks=2))
    assert actions(policy, "-" * 14) == "sr" + "sssr" + "sssssssX"
    assert (policy.rollbacks, policy.streak) == (2, 8)


def test_a_good_update_ends_a_streak_but_does_not_forgive_a_return():
    policy = Policy(GuardOptions(patience=2, rollbacks=1))
    assert actions(policy, "-+-+--") == "ststsr"
    assert policy.rollbacks == 1
    actions(policy, "+" * (FORGIVEN_AFTER - 1))
    assert policy.rollbacks == 1
    actions(policy, "+")
    assert policy.rollbacks == 0


def test_without_returns_the_run_stops_when_patience_ends():
    assert actions(Policy(GuardOptions(patience=3, rollbacks=0)), "---") == "ssX"


def test_another_policy_goes_on_with_the_counts():
    policy, other = Policy(GuardOptions(patience=2)), Policy(GuardOptions(patience=2))
    actions(policy, "++---")
    other.load_state(policy.state())
    assert other == policy


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ({"patience": 0}, "patience must be at least 1, got 0"),
        ({"rollbacks": -1}, "rollbacks must be at least 0, got -1"),
        ({"snapshot_steps": -5}, "snapshot_steps must be at least 0"),
        ({"lr_scale": 0.0}, "lr_scale must be above 0 and at most 1"),
        ({"lr_scale": 2.0}, "lr_scale must be above 0 and at most 1"),
    ],
)
def test_nonsense_is_refused(setting, complaint):
    with pytest.raises(UserError, match=complaint):
        GuardOptions(**setting)
