import math

import pytest

from hf_strategies.training.guard import GuardOptions
from hf_strategies.training.guard.policy import Action
from hf_strategies.training.guard.snapshot import HEALTHY_AFTER
from hf_strategies.training.guard.step_guard import Counts, StepGuard


@pytest.fixture
def guard():
    """A guard that has seen forty good updates, and a checkpoint after them."""
    guard = StepGuard(GuardOptions())
    for _ in range(40):
        guard.judge(3.0, 1.0, overflown=False)
    guard.unproven[40] = 0
    return guard


def test_an_overflow_proves_nothing_and_is_no_update_that_was_taken(guard):
    calm = guard.policy.calm
    for _ in range(HEALTHY_AFTER):
        assert guard.judge(3.0, math.inf, overflown=True).action is Action.OVERFLOW
    assert guard.take_proven() == []
    assert guard.policy.calm == calm
    assert guard.counts == Counts(taken=40, overflows=HEALTHY_AFTER)


def test_a_loss_that_is_bad_is_bad_also_where_the_gradient_overflows(guard):
    verdict = guard.judge(1e6, math.inf, overflown=True)
    assert verdict.action is Action.SKIP
    assert "loss 1e+06 is far above" in verdict.reason
    assert guard.counts == Counts(taken=40, skipped=1)


def test_a_state_that_was_gone_back_to_twice_in_vain_is_not_asked_for_again(guard):
    assert guard.untried(41) == 41
    guard.note_return(30)
    assert guard.untried(45) == 45
    guard.note_return(30)
    assert guard.untried(50) == 30
    for _ in range(HEALTHY_AFTER):
        guard.judge(3.0, 1.0, overflown=False)
    assert guard.untried(60) == 60


def test_another_guard_goes_on_with_what_this_one_has_seen(guard):
    guard.judge(math.nan, 1.0, overflown=False)
    guard.note_return(30)
    other = StepGuard(GuardOptions())
    other.load_state(guard.state())
    assert other.state() == guard.state()
    assert (other.unproven, other.returns) == ({40: 0}, [30])


def test_what_is_usual_is_learned_anew_where_the_data_have_changed(guard):
    assert guard.judge(9.0, 1.0, overflown=False).reason
    guard.adapt()
    assert guard.judge(9.0, 1.0, overflown=False).action is Action.TAKE


def test_a_mean_is_over_the_updates_that_have_a_loss():
    assert Counts(taken=2, overflows=1, skipped=5).mean(6.0) == 2.0
    assert math.isnan(Counts(skipped=5).mean(0.0))
    assert Counts(skipped=5, owed=2).missing == 7
