"""What benchmarks make of losses: searches, goals and tables, on learners whose losses are known in closed form."""

import math
from dataclasses import replace

import pytest
from PIL import Image

from scripts.benchmarks.large_batch import Best, rows_of
from scripts.benchmarks.lr_sensitivity import compare, mean_losses, remarks_on_extremes, spread
from scripts.benchmarks.training_runs.goals import Goal, excess_over_best, verdict
from scripts.benchmarks.training_runs.pictures import draw_races
from scripts.benchmarks.training_runs.race import race, way_to
from scripts.benchmarks.training_runs.race_report import final_rows, goals_of, reach_rows, remarks_of
from scripts.benchmarks.training_runs.rows import Row
from scripts.benchmarks.training_runs.search import best_rate, first_that, horizons, length_reaching
from scripts.benchmarks.training_runs.trial import Trial

# Learning per update: a loss falls by one where updates times this grow e-fold.
PACE = {"stock": 0.2, "adamw": 1.0, "torch_muon": 2.0, "ours": 4.0}
SECONDS = {"stock": 0.9, "adamw": 1.0, "torch_muon": 1.4, "ours": 1.2}


def row(contender: str, loss: float, *, updates: int = 100, seconds: float = 1.0, **rest) -> Row:
    given = {"key": "k", "size": "1M", "corpus": "words", "seed": 0, "settings": {"learning_rate": 1e-3}, "mfu": None,
             "curve": [], "tokens_per_update": 2048, "wall_seconds": 1.0, "device": "CPU", "environment": {},
             "code": "", "finished": "2026-01-01"}  # fmt: skip
    return Row(contender=contender, eval_loss=loss, updates=updates, seconds_per_update=seconds, **{**given, **rest})


class Learner:
    """Gives each trial the loss of its pace, best at a rate of 2e-3 where a peer is swept."""

    def __init__(self, pace: dict[str, float] = PACE) -> None:
        self.pace = pace
        self.asked: list[tuple[str, int, int]] = []

    def __call__(self, trial: Trial) -> Row:
        self.asked.append((trial.contender, trial.updates, trial.seed))
        loss = 12.0 + 0.1 * trial.seed - math.log(trial.updates * self.pace[trial.contender])
        if trial.contender in ("adamw", "torch_muon"):
            loss += abs(math.log2(trial.settings["learning_rate"] / 2e-3))
        return row(
            trial.contender, loss, updates=trial.updates, seconds=SECONDS[trial.contender], seed=trial.seed,
            settings=dict(trial.settings) or {"learning_rate": 8e-3}, curve=[[trial.updates, loss]],
        )  # fmt: skip


def run_race(learner: Learner, *, updates: int = 400, num_seeds: int = 2):
    def trial(**given) -> Trial:
        return Trial(size="1M", corpus="words", eval_every=1, eval_samples=1, **given)

    return race(learner, trial, updates=updates, num_seeds=num_seeds, rates=(1e-3, 2e-3, 4e-3))


def test_lengths_are_ten_to_the_decade_down_to_a_fortieth():
    lengths = horizons(1000)
    assert lengths[-11::5] == [100, 316, 1000]
    assert (lengths[0], len(lengths)) == (25, 17)


@pytest.mark.parametrize("guess", [None, 0, 7, 16])
@pytest.mark.parametrize("first", [0, 1, 8, 16])
def test_the_first_that_reaches_is_found_in_about_log_many_questions(first, guess):
    asked = []
    found = first_that(lambda index: asked.append(index) or index >= first, 17, guess)
    assert found == first
    assert len(asked) == len(set(asked)) <= (5 if guess is None else 9)


def test_a_good_guess_costs_two_questions():
    asked = []
    assert first_that(lambda index: asked.append(index) or index >= 8, 1000, 8) == 8
    assert sorted(asked) == [7, 8]


def test_nothing_is_found_where_even_the_last_does_not_reach():
    assert first_that(lambda _: False, 17) is None
    assert first_that(lambda _: False, 17, guess=3) is None


def test_the_crossing_is_interpolated_in_the_logarithm_of_the_length():
    # Half way in loss from 100 to 400 updates is 200, their geometric mean.
    assert length_reaching(5.0, (100, 5.5), (400, 4.5)) == pytest.approx(200)


def test_the_best_rate_is_sought_past_the_edge_of_the_first_three():
    asked = []

    def loss(rate: float) -> float:
        asked.append(rate)
        return abs(math.log2(rate) - 3) if rate < 16 else math.inf

    assert best_rate(loss, 1.0) == 8.0
    assert asked == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0]
    assert best_rate(lambda rate: abs(math.log2(rate)), 1.0) == 1.0


def test_a_race_finds_each_length_and_ratio_of_known_learners():
    found = run_race(Learner())
    assert sorted(found.sweeps["adamw"]) == [1e-3, 2e-3, 4e-3]
    assert found.finals["adamw"][0].settings["learning_rate"] == 2e-3
    by_updates, by_seconds, by_muon, by_stock = goals_of(found)
    # Paces 4, 2, 1 and 0.2: a quarter of AdamW's updates (at 1.2 times its seconds), half of Muon's, a twentieth of
    # stock's.
    assert by_updates.seen == pytest.approx([0.25, 0.25])
    assert by_seconds.seen == pytest.approx([0.3, 0.3])
    assert by_muon.seen == pytest.approx([0.5, 0.5])
    assert by_stock.seen == pytest.approx([0.05, 0.05])
    adamw, ours, _ = reach_rows(found)
    assert (adamw["updates"], adamw["seconds"]) == (400, 400)
    assert (ours["updates"], ours["seconds"], ours["seconds_share"]) == (100, 120, 0.3)
    assert list(ours) == ["contender", "updates", "updates_range", "updates_share", "seconds", "seconds_share"]
    assert [each["contender"] for each in final_rows(found)] == ["stock", "adamw", "torch_muon", "ours"]


def test_each_seed_has_its_own_target_and_begins_near_the_last_ones_answer():
    learner = Learner()
    run_race(learner, num_seeds=2)
    short = [seed for contender, updates, seed in learner.asked if contender == "ours" and updates < 400]
    assert short.count(1) < short.count(0)


def test_a_contender_that_never_gets_there_is_said_and_favours_nobody():
    found = run_race(Learner({**PACE, "torch_muon": 0.5}))
    assert goals_of(found)[2].seen == pytest.approx([0.25, 0.25])
    assert any("torch_muon did not get to adamw's loss" in remark for remark in remarks_of([found]))
    assert reach_rows(found)[2]["updates"] == "not within 400"
    slow = run_race(Learner({**PACE, "ours": 0.5}))
    assert goals_of(slow)[0].row()["seen"] == "not reached"


def test_seconds_are_one_statistic_in_the_table_and_in_the_goal():
    found = run_race(Learner(), num_seeds=3)
    slow = [replace(run, seconds_per_update=pace) for run, pace in zip(found.finals["ours"], (1.0, 1.2, 9.0))]
    uneven = replace(found, finals={**found.finals, "ours": slow})
    # A quarter of AdamW's updates, each of 1.2 times AdamW's second: one slow run does not move the median.
    assert goals_of(uneven)[1].seen == pytest.approx([0.3, 0.3, 0.3])
    assert reach_rows(uneven)[1]["seconds_share"] == 0.3


def test_a_way_that_no_shorter_run_bounds_from_below_is_said_to_be_an_upper_bound():
    lengths = [10, 20, 40]
    losses = {10: 4.0, 20: 3.0, 40: 2.0}
    ways = {
        target: way_to(target, lambda length: row("ours", losses[length], updates=length), lengths, None)
        for target in (4.5, 3.5)
    }
    assert [(way.updates, way.is_bound) for way in ways.values()] == [(10, True), (pytest.approx(10 * 2**0.5), False)]
    diverged = {10: math.nan, 20: 3.0, 40: 2.0}
    way = way_to(3.5, lambda length: row("ours", diverged[length], updates=length), lengths, None)
    assert (way.updates, way.is_bound) == (20, True)

    found = run_race(Learner({**PACE, "ours": 100.0}))
    assert [remark for remark in remarks_of([found]) if "upper bound" in remark] == [
        f"1M, words: ours got to {aim}'s loss in its shortest run already, of 10 updates: "
        "its way there is an upper bound."
        for aim in ("adamw", "stock")
    ]
    assert not any("upper bound" in remark for remark in remarks_of([run_race(Learner())]))


def test_a_picture_has_a_panel_for_each_size_and_corpus(tmp_path):
    found = run_race(Learner())
    draw_races([found], tmp_path / "one.png")
    draw_races([replace(found, size=size, corpus=corpus) for size in "ab" for corpus in "cd"], tmp_path / "four.png")
    one, four = (Image.open(tmp_path / name).size for name in ("one.png", "four.png"))
    assert four[0] > 1.4 * one[0]
    assert four[1] > 1.7 * one[1]


def test_the_edge_of_a_sweep_is_said():
    found = run_race(Learner())
    assert not any("edge" in remark for remark in remarks_of([found]))
    sweep = {rate: replace(run, eval_loss=rate) for rate, run in found.sweeps["adamw"].items()}
    edged = replace(found, sweeps={"adamw": sweep})
    assert any("best rate, 0.001, is at the edge" in remark for remark in remarks_of([edged]))


def test_a_goal_is_met_by_its_mean_or_missed_by_a_share_of_its_aim():
    assert Goal("updates", 0.5, [0.4, 0.5]).row() == {
        "goal": "updates", "at_most": 0.5, "seen": 0.45, "range": "0.400 to 0.500", "verdict": "met",
    }  # fmt: skip
    assert verdict(0.6, 0.5) == "missed by 20%"
    assert verdict(math.inf, 0.5) == "missed"


def test_the_height_over_the_best_counts_a_diverged_run_as_untrained():
    assert excess_over_best([4.0, 5.0, 6.0]) == pytest.approx(1.0)
    runs = {
        "ours": {1.0: [row("ours", 4.0), row("ours", 4.2)], 10.0: [row("ours", 1.0), row("ours", 15.0)]},
        "adamw": {1.0: [row("adamw", 5.0), row("adamw", 5.0)], 10.0: [row("adamw", 5.0), row("adamw", math.nan)]},
    }
    means = mean_losses(runs, untrained=8.0)
    assert means["ours"] == pytest.approx({1.0: 4.1, 10.0: 4.5})  # 15 is worse than untrained, and counts as 8
    assert means["adamw"] == pytest.approx({1.0: 5.0, 10.0: 6.5})
    goal, rows = compare(runs, means)
    assert goal.seen == pytest.approx([0.2 / 0.75])
    assert [each["diverged_runs"] for each in rows] == [0, 1]
    flat = {name: {1.0: 5.0, 10.0: 5.0} for name in runs}
    assert compare(runs, flat)[0].seen == [0.0]
    assert compare(runs, {**flat, "ours": {1.0: 4.0, 10.0: 5.0}})[0].seen == [math.inf]


def test_nine_rates_span_two_decades_with_the_middle_untouched():
    factors = spread(9)
    assert (factors[0], factors[4], factors[8]) == (0.1, 1.0, 10.0)
    assert factors[5] / factors[4] == pytest.approx(10**0.25)


def test_batches_are_compared_at_the_same_size():
    found = [
        Best("adamw", 1, 2e-3, 2e-3, row("adamw", 4.0)),
        Best("adamw", 8, 5.7e-3, 2.8e-3, row("adamw", 5.0)),
        Best("lamb", 1, 1e-2, 1e-2, row("lamb", 4.1)),
        Best("lamb", 8, 2.8e-2, 2.8e-2, row("lamb", 4.8)),
    ]
    rows = rows_of(found)
    assert [(each["batch"], each["contender"], each["above_adamw"]) for each in rows] == [
        ("1x", "adamw", 0.0), ("1x", "lamb", 0.1), ("8x", "adamw", 0.0), ("8x", "lamb", -0.2),
    ]  # fmt: skip


def test_that_the_worst_of_ours_beats_the_best_of_the_others_is_said_only_where_it_does():
    (said,) = remarks_on_extremes({"ours": {1.0: 4.5, 2.0: 5.5}, "adamw": {1.0: 6.0, 2.0: 5.75}})
    assert said == "ours at the worst of these rates, 5.500, is below adamw at its best, 5.750."
    assert not remarks_on_extremes({"ours": {1.0: 4.5, 2.0: 5.8}, "adamw": {1.0: 6.0, 2.0: 5.75}})
