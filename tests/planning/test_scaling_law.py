import math

import pytest

from hf_strategies.planning.inference_budget import cheapest_split, lifetime_flops
from hf_strategies.planning.repeated_data import C4, best_split, effective_tokens, repeated_loss
from hf_strategies.planning.scaling_law import CHINCHILLA, REFIT, Split
from hf_strategies.planning.step_law import batch_tokens, learning_rate

# Hoffmann et al. 2022, table 3 (approach 1): parameters, FLOPs, tokens. Recalled; the FLOPs are 6 times the product.
APPROACH_1 = [(400e6, 1.92e19, 8.0e9), (1e9, 1.21e20, 20.2e9), (10e9, 1.23e22, 205.1e9), (67e9, 5.76e23, 1.5e12)]
# The same, table A3 (approach 3). Recalled.
APPROACH_3 = [(400e6, 2.21e19, 9.2e9), (1e9, 1.62e20, 27.1e9), (10e9, 2.46e22, 410.1e9), (67e9, 1.71e24, 4.1e12)]


@pytest.mark.parametrize(("parameters", "flops", "tokens"), APPROACH_3)
def test_the_first_fit_gives_the_papers_own_table(parameters, flops, tokens):
    split = CHINCHILLA.for_flops(flops)
    assert split.parameters == pytest.approx(parameters, rel=0.05)
    assert split.tokens == pytest.approx(tokens, rel=0.05)


@pytest.mark.parametrize(("parameters", "flops", "tokens"), APPROACH_1)
def test_the_refit_agrees_with_the_approach_that_the_first_fit_contradicts(parameters, flops, tokens):
    split = REFIT.for_flops(flops)
    assert split.parameters == pytest.approx(parameters, rel=0.1)
    assert split.tokens == pytest.approx(tokens, rel=0.12)
    if flops > 1e22:  # where the two approaches part
        assert abs(CHINCHILLA.for_flops(flops).tokens / tokens - 1) > 0.3


@pytest.mark.parametrize("law", [REFIT, CHINCHILLA, C4])
def test_the_split_of_a_budget_is_its_lowest_loss(law):
    best = law.for_flops(1e21)
    assert best.flops == pytest.approx(1e21)
    for factor in (0.9, 1.1):
        assert law.loss(Split(best.parameters * factor, best.tokens / factor)) > law.loss(best)


def test_a_budget_a_model_and_its_tokens_lead_to_one_split():
    split = REFIT.for_flops(1e20)
    for found in (REFIT.for_parameters(split.parameters), REFIT.for_tokens(split.tokens)):
        assert (found.parameters, found.tokens) == pytest.approx((split.parameters, split.tokens))


def test_a_loss_by_hand():
    even = Split(1e10, 1e10)  # 10^(10 x 0.3478) = 10^3.478 and 10^3.658
    assert REFIT.loss(even) == pytest.approx(1.8172 + 482.01 / 10**3.478 + 2085.43 / 10**3.658)
    assert REFIT.tokens_for(REFIT.loss(even), 1e10) == pytest.approx(1e10)
    assert REFIT.tokens_for(1.9, 1e9) is None  # 482.01 / 10^3.1302 = 0.357: no text brings it below 2.17


def test_step_law_by_hand():
    assert learning_rate(1e9, 1e11) == pytest.approx(1.79 * 10 ** (-9 * 0.713 + 11 * 0.307))  # 1.63e-3
    assert learning_rate(1e9, 1e11) == pytest.approx(1.63e-3, rel=0.01)
    assert batch_tokens(1e10) == pytest.approx(0.58 * 10**5.71)


def test_repeated_tokens_lose_their_worth_exponentially():
    assert effective_tokens(5e8, 1e9) == 5e8  # less than an epoch
    assert effective_tokens(1e9, 1e9) == 1e9
    # After r* repetitions they are worth 1 - 1/e of new ones; without end never more than r* of them.
    assert effective_tokens((1 + 15.387756) * 1e9, 1e9) == pytest.approx((1 + 15.387756 * (1 - 1 / math.e)) * 1e9)
    assert effective_tokens(1e15, 1e9) == pytest.approx((1 + 15.387756) * 1e9)
    assert effective_tokens(4e9, 1e9) / 4e9 > 0.92  # "up to 4 epochs are almost as good"


def test_text_that_is_all_new_is_no_special_case():
    split = C4.for_flops(1e20)
    assert repeated_loss(split, unique=split.tokens) == pytest.approx(C4.loss(split))
    assert C4.for_tokens(1e9).parameters == pytest.approx(0.051e9, rel=0.01)  # as the paper's equation 17 has it


def test_with_little_text_a_smaller_model_for_more_epochs_is_better():
    """The case of the paper's figure 1: 25 B tokens, 9.3e21 FLOPs: 8.67 B parameters if repeating cost nothing."""
    careless, best = C4.for_flops(9.3e21), best_split(9.3e21, unique=25e9)
    assert careless.parameters == pytest.approx(8.7e9, rel=0.05)
    assert 6e9 < best.parameters < 7e9
    assert best.flops == pytest.approx(9.3e21)
    losses = [repeated_loss(Split(n, 9.3e21 / 6 / n), 25e9) for n in (0.9 * best.parameters, 1.1 * best.parameters)]
    assert repeated_loss(best, 25e9) < min(losses)
    assert repeated_loss(best, 25e9) < repeated_loss(careless, 25e9)


def test_a_model_that_will_be_used_much_is_smaller_and_trained_longer():
    """Sardana et al. 2023, section 1: 13 B for 2 T tokens of use, 7 B instead saves 17%. Recalled."""
    trained = CHINCHILLA.for_parameters(13e9)
    cheapest = cheapest_split(CHINCHILLA, CHINCHILLA.loss(trained), 2e12, largest=13e9)
    assert cheapest.parameters == pytest.approx(7e9, rel=0.05)
    assert CHINCHILLA.loss(cheapest) == pytest.approx(CHINCHILLA.loss(trained))
    assert lifetime_flops(cheapest, 2e12) / lifetime_flops(trained, 2e12) == pytest.approx(0.83, abs=0.02)
    assert lifetime_flops(trained, 2e12) == 6 * 13e9 * trained.tokens + 2 * 13e9 * 2e12


def test_a_model_that_is_never_used_is_what_training_alone_wants():
    trained = REFIT.for_flops(1e21)
    cheapest = cheapest_split(REFIT, REFIT.loss(trained), 1.0, largest=trained.parameters)
    assert cheapest.parameters == pytest.approx(trained.parameters, rel=0.01)
