import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hf_strategies.planning.sweep_plot import draw_sweep, highest_shown
from hf_strategies.planning.sweep_report import describe_basin
from hf_strategies.planning.sweep_results import (
    basin,
    edge_warnings,
    main_axis,
    measure_of,
    result_row,
    results_table,
    summarise,
    tolerance,
)
from hf_strategies.planning.trials import Outcome, Trial, trial_name


def tried(values: dict[str, str], loss: float | None, *, seed: int | None = None, status: str = "finished"):
    trial = Trial(values, seed, Path("trials") / trial_name(values, seed))
    if loss is None:
        return trial, Outcome(status, reason=f"it {status}")
    return trial, Outcome("finished", results={"eval_loss": loss, "train_runtime": 10.0})


def rates(losses: dict[str, float | None]):
    return [tried({"learning_rate": rate}, loss, status="diverged") for rate, loss in losses.items()]


def test_settings_are_ranked_by_their_mean_over_seeds():
    pairs = [
        tried({"learning_rate": rate}, loss, seed=seed)
        for rate, losses in {"0.001": (4.0, 4.2), "0.002": (3.9, 4.1), "0.004": (3.0, 7.0)}.items()
        for seed, loss in enumerate(losses)
    ]
    results = summarise(pairs, "eval_loss")
    assert [result.values["learning_rate"] for result in results] == ["0.002", "0.001", "0.004"]
    assert (results[0].loss, results[0].spread) == pytest.approx((4.0, 0.2 / math.sqrt(2)))
    assert results[0].seconds == 20.0


def test_a_setting_of_which_one_seed_diverged_is_not_the_best():
    pairs = [
        tried({"learning_rate": "0.1"}, 1.0, seed=0),
        tried({"learning_rate": "0.1"}, None, seed=1, status="diverged"),
        tried({"learning_rate": "0.01"}, 2.0, seed=0),
        tried({"learning_rate": "0.01"}, 2.0, seed=1),
    ]
    best, other = summarise(pairs, "eval_loss")
    assert best.values["learning_rate"] == "0.01"
    assert (other.status, other.loss, other.reason) == ("diverged", math.inf, "it diverged")


def over_seeds(**losses: tuple[float, ...]):
    return [tried({"a": a}, loss, seed=seed) for a, row in losses.items() for seed, loss in enumerate(row)]


def test_losses_are_as_good_within_one_percent_of_the_best():
    assert tolerance(summarise(over_seeds(x=(4.0,), y=(5.0,)), "eval_loss")) == (0.04, "1% of the best")


def test_luck_that_all_settings_share_does_not_widen_what_is_as_good():
    pairs = over_seeds(x=(3.0, 5.0), y=(3.5, 5.5), z=(4.0, 6.0))  # one seed is worse by 2, and all know it
    assert tolerance(summarise(pairs, "eval_loss")) == (0.04, "1% of the best")


def test_differences_that_seeds_disagree_on_are_no_more_than_chance():
    pairs = over_seeds(x=(4.0, 4.0), y=(4.2, 4.4), z=(5.0, 9.0))
    # Against the best: 0.2 and 0.4, then 1 and 5. Standard errors are 0.1 and 2, and their median is between them.
    margin, why = tolerance(summarise(pairs, "eval_loss"))
    assert margin == pytest.approx(1.05)
    assert why == "the standard error of a difference over the seeds"


def test_losses_of_one_seed_are_compared_also_where_trials_end_in_another_order():
    pairs = over_seeds(x=(3.0, 5.0), y=(3.5, 5.5))
    swapped = [pairs[0], pairs[1], pairs[3], pairs[2]]
    assert tolerance(summarise(pairs, "eval_loss")) == tolerance(summarise(swapped, "eval_loss"))


def test_the_basin_ends_where_the_line_between_two_points_crosses():
    results = summarise(rates({"0.001": 4.08, "0.01": 4.0, "0.1": 4.16}), "eval_loss")
    # One percent of 4.0 is 0.04: half of the way down to 0.001, and a quarter of the way up to 0.1, in decades.
    assert basin(results, "learning_rate") == pytest.approx((10**-2.5, 10**-1.75))


def test_a_basin_does_not_leap_over_a_hill():
    results = summarise(rates({"0.001": 4.0, "0.01": 5.0, "0.1": 4.01}), "eval_loss")
    low, high = basin(results, "learning_rate")
    assert (low, high) == (0.001, pytest.approx(10 ** (-3 + 0.04)))


@pytest.mark.parametrize("status", ["diverged", "stopped", "failed"])
def test_a_basin_ends_before_a_setting_without_a_loss(status):
    losses = {"0.001": 3.0, "0.004": 2.8, "0.008": None, "0.016": 2.81}
    pairs = [tried({"learning_rate": rate}, loss, status=status) for rate, loss in losses.items()]
    low, high = basin(summarise(pairs, "eval_loss"), "learning_rate")
    # Down to 0.001 the loss rises by 0.2, and 1% of 2.8 is 0.028: 0.14 of the way of two factors of two.
    assert low == pytest.approx(0.004 / 4**0.14)
    assert high == 0.004


def test_a_basin_is_seen_along_the_best_settings_own_line():
    pairs = [
        tried({"learning_rate": rate, "weight_decay": decay}, loss)
        for rate, decay, loss in [("0.01", "0", 4.0), ("0.1", "0", 8.0), ("0.01", "0.1", 4.1), ("0.1", "0.1", 4.1)]
    ]
    low, high = basin(summarise(pairs, "eval_loss"), "learning_rate")
    assert (low, high) == (0.01, pytest.approx(10 ** (-2 + 0.01)))


def test_there_is_no_basin_along_names():
    assert basin(summarise([tried({"optimizer": "lion"}, 4.0)], "eval_loss"), "optimizer") is None


def test_a_best_value_at_the_edge_is_said_and_what_lies_beyond_it():
    (warning,) = edge_warnings(summarise(rates({"0.001": 4.0, "0.002": 3.0, "0.004": 2.0}), "eval_loss"))
    assert (
        warning == "the best learning_rate, 0.004, is the highest that was tried: try values beyond it, such as 0.008"
    )
    (warning,) = edge_warnings(summarise(rates({"0.001": 1.0, "0.002": 3.0}), "eval_loss"))
    assert "0.001, is the lowest that was tried" in warning
    assert "such as 0.0005" in warning


@pytest.mark.parametrize(
    "losses",
    [{"0.001": 4.0, "0.002": 3.0, "0.004": 3.5}, {"0.001": 4.0, "0.002": 3.0, "0.004": None}, {"0.001": 4.0}],
    ids=["inside", "beyond it lies divergence", "only one"],
)
def test_a_best_value_inside_or_beside_a_divergence_is_no_edge(losses):
    assert edge_warnings(summarise(rates(losses), "eval_loss")) == []


def test_a_best_value_at_the_edge_of_a_plain_is_no_edge():
    pairs = [tried({"weight_decay": decay}, loss) for decay, loss in (("0", 3.01), ("0.1", 3.0))]
    assert edge_warnings(summarise(pairs, "eval_loss")) == []


def test_a_next_value_that_is_as_good_with_other_settings_leaves_the_edge_one():
    rows = [("0.1", "a", 3.0), ("0", "a", 4.0), ("0", "b", 3.01)]
    pairs = [tried({"weight_decay": decay, "optimizer": name}, loss) for decay, name, loss in rows]
    assert len(edge_warnings(summarise(pairs, "eval_loss"))) == 1


def test_a_trial_that_failed_says_nothing_about_its_side():
    pairs = [*rates({"0.001": 4.0, "0.002": 3.0}), tried({"learning_rate": "0.004"}, None, status="failed")]
    assert "highest" in edge_warnings(summarise(pairs, "eval_loss"))[0]


def test_another_tokenizer_makes_losses_per_byte_the_measure():
    assert measure_of(["learning_rate"]) == "eval_loss"
    assert measure_of(["learning_rate", "vocab_size"]) == "eval_bits_per_byte"


def test_the_learning_rate_comes_first_where_it_varies_in_numbers():
    def axis_of(**values: str) -> str:
        return main_axis(summarise([tried(values, 4.0)], "eval_loss"))

    assert axis_of(weight_decay="0.1", learning_rate="0.01") == "learning_rate"
    assert axis_of(optimizer="lion", weight_decay="0.1") == "weight_decay"
    assert axis_of(optimizer="lion") == "optimizer"


def test_the_table_marks_the_best_and_what_is_as_good_and_says_what_came_of_the_rest():
    results = summarise(rates({"0.001": 4.0, "0.002": 3.0, "0.004": 3.02, "0.1": None}), "eval_loss")
    lines = results_table(results, "eval_loss").splitlines()
    assert [line.split()[:2] for line in lines[2:]] == [
        ["0.002", "3"],
        ["0.004", "3.02"],
        ["0.001", "4"],
        ["0.1", "-"],
    ]
    assert lines[2].endswith("best")
    assert lines[3].endswith("as good")
    assert lines[4].endswith("10.0 s")
    assert lines[5].endswith("diverged: it diverged")


def test_a_row_has_numbers_where_values_are_numbers():
    row = result_row(*tried({"learning_rate": "0.001", "optimizer": "lion"}, 4.0, seed=1))
    assert row["learning_rate"] == 0.001
    assert (row["optimizer"], row["seed"], row["status"], row["eval_loss"]) == ("lion", 1, "finished", 4.0)


def test_as_good_are_values_of_a_number_and_settings_of_names():
    numbers = summarise(rates({"0.001": 4.0, "0.002": 4.01}), "eval_loss")
    assert (
        describe_basin(numbers) == "basin     learning_rate 0.001 to 0.002: within 0.04 of the best (1% of the best)"
    )
    names = summarise([tried({"optimizer": name}, loss) for name, loss in (("lion", 4.0), ("muon", 5.0))], "eval_loss")
    assert describe_basin(names) == "as good   1 of 2 settings: within 0.04 of the best (1% of the best)"
    assert "1 of 1 setting:" in describe_basin(names[:1])


@pytest.mark.parametrize(
    ("losses", "top"),
    [
        ([3.0, 3.1, 9.0], 9.0),  # of few settings all are shown
        ([3.0, 3.1, 3.2, 3.3, 4.5], 4.5),  # four times 0.2 would be shown, and 1.5 is less than twice that
        ([3.0, 3.1, 3.2, 3.3, 9.0], 3.3),
        ([3.0, 3.0, 3.0, 3.0, 3.01], 3.01),
        ([3.0, 3.0, 3.0, 3.1, 4.0], 3.1),  # four times the margin
    ],
)
def test_a_loss_is_left_out_of_the_picture_where_it_would_flatten_all_others(losses, top):
    assert highest_shown(losses, margin=0.03) == top


@pytest.mark.parametrize(
    ("worst", "told"), [(3.4, []), (90.0, ["cut off above 3.336 (arrows): 1 setting, up to 90."])], ids=["near", "far"]
)
def test_the_caption_tells_what_is_cut_off_and_nothing_that_is_drawn(worst, told, tmp_path, monkeypatch):
    captions: list[str] = []
    monkeypatch.setattr("hf_strategies.planning.sweep_plot.set_caption", lambda _, text: captions.append(text))
    losses = {"0.001": 3.2, "0.002": 3.0, "0.004": 3.1, "0.008": 3.3, "0.016": worst}
    results = summarise(rates(losses), "eval_loss")
    draw_sweep(results, tmp_path / "sweep.png", title="Sweep", measure="eval_loss")
    lines = captions[0].splitlines()
    assert lines[0] == "best: learning_rate 0.002, eval_loss 3."
    assert lines[2:] == told  # the axis ends 12% of 0.3 above 3.3


@pytest.mark.parametrize(
    "pairs",
    [
        rates({"0.001": 4.0, "0.002": 3.0, "0.004": 9.0, "0.1": None}),
        [tried({"optimizer": "lion"}, 4.0), tried({"optimizer": "muon"}, 3.0)],
        [tried({"weight_decay": "0"}, 4.0)],
        [
            tried({"learning_rate": rate, "weight_decay": decay}, 4.0 + 0.1 * seed + float(decay), seed=seed)
            for rate in ("0.001", "0.01") for decay in ("0", "0.1", "0.2", "0.3", "0.4", "0.5") for seed in (0, 1)
        ],
    ],
    ids=["rates", "names", "one point at zero", "many lines with spread"],
)  # fmt: skip
def test_every_kind_of_sweep_has_a_picture(pairs, tmp_path):
    draw_sweep(summarise(pairs, "eval_loss"), tmp_path / "sweep.png", title="Sweep", measure="eval_loss")
    with Image.open(tmp_path / "sweep.png") as picture:
        assert picture.width == 1600
        assert len(np.unique(np.asarray(picture))) > 8
