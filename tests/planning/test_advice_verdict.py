import numpy as np
import pytest

from hf_strategies.planning.advice_verdict import Fit, advise, recommendation, stand

ROWS = 1000
SIZES = (100, 200, 400, 800)


def right(error: float, *, shift: int = 0) -> np.ndarray:
    """Answers of which this share is wrong; those of one shift are wrong on the same rows as far as they go."""
    answers = np.ones(ROWS, dtype=bool)
    answers[: round(error * ROWS)] = False
    return np.roll(answers, shift)


def fits(name: str, floor: float, scale: float, exponent: float, *, seconds: float = 1.0, seeds: int = 2, **facts):
    return [
        Fit(
            name=name, size=size, seed=seed, right=right(floor + scale * (size / 800) ** -exponent),
            seconds=seconds * size / 800, row_seconds=1e-4,
            **{"parameters": 1000, "train_accuracy": 1 - floor - scale, **facts},
        )
        for size in SIZES for seed in range(seeds)
    ]  # fmt: skip


def test_the_cheapest_of_those_as_good_is_chosen():
    advice = advise([
        *fits("majority", 0.5, 0.0, 1.0, seconds=0.001),
        *fits("linear", 0.101, 0.0, 1.0, seconds=0.5),
        *fits("transformer", 0.100, 0.0, 1.0, seconds=60.0),
    ])  # fmt: skip
    assert [standing.name for standing in advice.standings] == ["transformer", "linear", "majority"]
    assert advice.as_good == ("transformer", "linear")  # one row of a thousand apart
    assert advice.chosen.name == "linear"
    said = recommendation(advice, ["transformer"])
    assert said[0] == (
        "train linear: 0.899 accuracy after 0.5 s of training; transformer has 0.900, which chance may explain, "
        "and takes 120 times as long"
    )
    assert said[1] == "a transformer is not needed: transformer has 0.900, and costs more"
    assert said[-1] == "more data would add less than 1% to linear, even 10 times as many"


def test_a_difference_that_chance_does_not_explain_is_worth_its_price():
    # Wrong on the same rows and 30 more of a thousand: of the difference of 0.03 the standard error is 0.0054.
    advice = advise([*fits("linear", 0.13, 0.0, 1.0), *fits("transformer", 0.10, 0.0, 1.0, seconds=60.0)])
    assert advice.as_good == ("transformer",)
    said = recommendation(advice, ["transformer"])
    assert said[0] == "train transformer: 0.900 accuracy after 1 min 00 s of training; no other is as good"
    assert said[1].startswith("a transformer is worth it here")


def test_who_learns_faster_wins_with_more_data():
    # 0.3 and 0.32 now; at ten times the data 0.29 + 0.01 * 0.1 against 0.32 * 10^-0.5 = 0.10.
    advice = advise([*fits("linear", 0.29, 0.01, 1.0), *fits("transformer", 0.0, 0.32, 0.5, seconds=60.0)])
    assert advice.standings[0].name == "linear"
    assert advice.chances[10]["transformer"] > 0.95
    transformer = advice.standings[1]
    middle, low, high = transformer.interval(10)
    assert low < 1 - 0.32 * 10**-0.5 < high
    assert low < middle < high
    assert any(line.startswith("with 10x the data transformer would win (") for line in recommendation(advice, []))


def test_what_learns_nothing_is_foretold_to_stay_where_it_is():
    names = [*fits("majority", 0.4, 0.2, 1.0, parameters=0), *fits("linear", 0.1, 0.0, 1.0)]
    majority = advise(names).standings[-1]
    assert majority.interval(10)[0] == pytest.approx(0.4, abs=0.01)
    assert recommendation(advise(names), ["majority"])[1] == (
        "do not train a transformer for this: majority has 0.400"
    )


def test_chances_add_up_and_equals_are_too_close_to_call():
    advice = advise([*fits("a", 0.2, 0.1, 0.5), *fits("b", 0.2, 0.1, 0.5)])
    assert sum(advice.chances[2].values()) == pytest.approx(1.0)
    assert any("too close to call" in line for line in recommendation(advice, []))


def test_seeds_that_disagree_leave_the_rest_as_good():
    shaky = [fit for fit in fits("gru", 0.0, 0.0, 1.0) if fit.size == 800]
    shaky = [Fit(**{**vars(fit), "right": right(0.05 + 0.30 * fit.seed)}) for fit in shaky]
    steady = [fit for fit in fits("linear", 0.25, 0.0, 1.0) if fit.size == 800]
    advice = advise([*shaky, *steady])  # 0.20 and 0.25 wrong, seeds 0.30 apart
    assert advice.as_good == ("gru", "linear")
    assert advice.chances == {}
    assert recommendation(advice, [])[-1] == "too few examples to say what more of them would bring"


def test_overfitting_and_cut_training_are_told():
    advice = advise([*fits("cnn", 0.3, 0.0, 1.0, train_accuracy=1.0, is_whole=False), *fits("linear", 0.3, 0.0, 1.0)])
    assert advice.warnings == (
        "cnn overfits: 1.000 right on rows it has seen, 0.700 on others",
        "cnn was cut short by the budget: a larger --budget may do it more justice",
    )


def test_the_doubt_about_an_error_is_of_rows_and_of_seeds():
    standing = stand(fits("a", 0.2, 0.0, 1.0), seed=0)
    assert standing.deviations == pytest.approx([(0.2 * 0.8 / ROWS) ** 0.5] * 4)
    apart = [Fit(**{**vars(fit), "right": right(0.2 + 0.1 * fit.seed)}) for fit in fits("a", 0.2, 0.0, 1.0)]
    # Seeds at 0.2 and 0.3: mean 0.25, variance 0.0025, of which a mean of two has half.
    assert stand(apart, seed=0).deviations[-1] == pytest.approx((0.0025 / 2 + 0.25 * 0.75 / ROWS) ** 0.5)
    perfect = stand(fits("a", 0.0, 0.0, 1.0), seed=0)
    assert perfect.deviations[-1] == pytest.approx((0.001 * 0.999 / ROWS) ** 0.5)
