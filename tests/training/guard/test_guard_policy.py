import pytest

from hf_strategies.errors import UserError
from hf_strategies.training.guard.policy import FORGIVEN_AFTER, Action, GuardOptions, Policy


def actions(policy, story):
    """Decide over a story of good (+) and bad (-) updates."""
    return [policy.decide(is_bad=update == "-").value[0] for update in story]


def test_patience_doubles_after_each_return_and_then_the_run_stops():
    policy = Policy(GuardOptions(patience=2, rollbacks=2))
    assert "".join(actions(policy, "-" * 14)) == "sr" + "sssr" + "sssssss" + "s"
    assert policy.rollbacks == 2
    assert policy.decide(is_bad=True) is Action.STOP or policy.streak >= 8


def test_a_good_update_ends_a_streak_but_does_not_forgive_a_return():
    policy = Policy(GuardOptions(patience=2, rollbacks=1))
    assert "".join(actions(policy, "-+-+--")) == "ststsr"
    assert policy.rollbacks == 1
    actions(policy, "+" * (FORGIVEN_AFTER - 1))
    assert policy.rollbacks == 1
    actions(policy, "+")
    assert policy.rollbacks == 0


def test_without_returns_the_run_stops_when_patience_ends():
    assert "".join(actions(Policy(GuardOptions(patience=3, rollbacks=0)), "---")) == "sss"
    policy = Policy(GuardOptions(patience=3, rollbacks=0))
    assert [policy.decide(is_bad=True) for _ in range(3)] == [Action.SKIP, Action.SKIP, Action.STOP]


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
