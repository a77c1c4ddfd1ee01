"""Averages of one tensor against the mean, or the sum of weights, that they stand for."""

import pytest
import torch

from hf_strategies.callbacks import AVERAGES
from hf_strategies.callbacks.average_settings import check_average_settings
from hf_strategies.callbacks.averages import Ema, LastK, Moment, Swa, ema_decay
from hf_strategies.errors import UserError

VALUES = torch.randn(12, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def run(rule, values):
    """Add values one by one; return the average after each."""
    copies = [torch.zeros_like(values[0]) for _ in range(rule.num_copies)]
    means = []
    for count, value in enumerate(values):
        rule.add_(copies, value, count)
        means.append(rule.mean(copies, count + 1).clone())
    return means


def moments(*, updates_per_epoch, max_steps):
    return [Moment(step, max_steps, step % updates_per_epoch == 0) for step in range(1, max_steps + 1)]


def taken(rule, **run_of):
    return [moment.step for moment in moments(**run_of) if rule.takes(moment)]


def test_the_decay_looks_back_over_a_tenth_of_the_run_until_it_is_reached():
    # (1 + n) / (10 + n), as TensorFlow's moving averages warm up
    assert [ema_decay(count, 0.9) for count in (0, 1, 8, 80, 81, 1000)] == pytest.approx(
        [0, 2 / 11, 0.5, 0.9, 0.9, 0.9]
    )


def test_a_growing_decay_is_the_power_law_average_with_exponent_8():
    steps = torch.arange(1.0, 5001.0, dtype=torch.float64)
    mean_step = run(Ema(decay=0.9999), steps[:, None])[-1].item()
    weights = steps**8  # Karras et al. (2024), eq. 1
    assert mean_step == pytest.approx(
        (weights * steps).sum().item() / weights.sum().item(), rel=1e-3
    )  # 0.9 of the run


def test_ema_is_the_sum_of_products_of_decays():
    expected = torch.zeros_like(VALUES[0])
    for index, value in enumerate(VALUES):
        share = 1 - ema_decay(index, 0.6)
        for later in range(index + 1, len(VALUES)):
            share *= ema_decay(later, 0.6)
        expected += share * value
    torch.testing.assert_close(run(Ema(decay=0.6), VALUES)[-1], expected)


def test_swa_is_the_mean_of_all_and_last_k_that_of_the_last():
    for count, (all_of_them, last) in enumerate(
        zip(run(Swa(), VALUES), run(LastK(k=3), VALUES), strict=True), start=1
    ):
        torch.testing.assert_close(all_of_them, VALUES[:count].mean(dim=0))
        torch.testing.assert_close(last, VALUES[max(count - 3, 0) : count].mean(dim=0))


@pytest.mark.parametrize("rule", [Ema(decay=0.999), Swa(), LastK(k=3)])
def test_what_stands_still_is_its_own_average_to_the_bit(rule):
    still = VALUES[:1].float().expand(12, 5)
    if not isinstance(rule, LastK):
        assert all(torch.equal(mean, still[0]) for mean in run(rule, still))
    else:  # three equal numbers do not always have their mean in float32
        torch.testing.assert_close(run(rule, still)[-1], still[0], rtol=1e-7, atol=0)


def test_every_update_counts_in_an_ema():
    assert taken(Ema(), updates_per_epoch=3, max_steps=4) == [1, 2, 3, 4]


def test_swa_counts_ends_of_epochs_in_the_last_part_of_the_run_and_its_end():
    assert taken(Swa(start=0.5), updates_per_epoch=3, max_steps=14) == [9, 12, 14]
    assert taken(Swa(start=0.5, every=2), updates_per_epoch=3, max_steps=13) == [8, 10, 12, 13]


def test_last_k_counts_all_ends_of_epochs_or_of_intervals():
    assert taken(LastK(), updates_per_epoch=3, max_steps=7) == [3, 6, 7]
    assert taken(LastK(every=5), updates_per_epoch=3, max_steps=15) == [5, 10, 15]


@pytest.mark.parametrize("name", AVERAGES.names())
def test_each_average_of_the_shelf_is_built_and_knows_its_settings(name):
    entry = AVERAGES[name]
    assert vars(entry.build()).keys() == entry.facts["hyperparameters"].keys()
    check_average_settings(name, vars(entry.build()))


@pytest.mark.parametrize(
    ("name", "settings", "complaint"),
    [
        ("emma", {}, "unknown average 'emma', did you mean 'ema'"),
        ("ema", {"deca": 0.9}, r"average 'ema' has no setting 'deca', did you mean 'decay'\? \(known: decay\)"),
        ("ema", {"decay": 1.0}, r"decay of average 'ema' must be a number in \[0, 1\), got 1.0"),
        ("last_k", {"k": 0}, "k of average 'last_k' must be a whole number >= 1, got 0"),
        ("swa", {"every": 0.5}, "every of average 'swa' must be a whole number >= 1, or none, got 0.5"),
    ],
)
def test_what_makes_no_sense_is_refused(name, settings, complaint):
    with pytest.raises(UserError, match=complaint):
        check_average_settings(name, settings)
