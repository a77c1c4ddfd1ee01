import pytest

from hf_strategies.errors import UserError
from scripts.benchmarks import range_test


def test_a_loss_between_two_rates_is_read_off_on_their_logarithm():
    losses = {1e-3: 5.0, 1e-2: 4.0, 1e-1: 6.0}
    assert range_test.interpolated(losses, 10**-2.5) == pytest.approx(4.5)
    assert range_test.interpolated(losses, 10**-1.75) == pytest.approx(4.5)
    assert range_test.interpolated(losses, 1e-5) == 5.0
    assert range_test.interpolated(losses, 1.0) == 6.0


def test_a_band_is_held_against_the_best_of_the_sweep():
    row = range_test.compare("ours", {1e-3: 5.0, 1e-2: 4.0, 1e-1: 6.0}, 1e-3, 1e-2)
    assert row["best_of_sweep"] == "0.01"
    found = [row[f"above_best_at_{place}"] for place in ("low", "middle", "high")]
    assert found == pytest.approx([1.0, 0.5, 0.0])


def test_without_the_sweep_there_is_nothing_to_hold_a_band_against():
    with pytest.raises(UserError, match="was not swept here: run lr-sensitivity first"):
        range_test.run(updates=7)
