from collections import Counter

import pytest
import torch

from hf_strategies.augmentation.draw_key import DrawKey
from hf_strategies.augmentation.image_operations import OPERATIONS
from hf_strategies.augmentation.image_policies import (
    apply_operations,
    draw_any_strength,
    draw_one_strength,
    rand_augment,
    rand_augment_space,
    wide_space,
)
from hf_strategies.augmentation.image_warps import WARPS, warp


def test_the_wide_space_is_the_papers():
    space = wide_space(3, 224, 224)
    assert space.keys() == OPERATIONS.keys() | WARPS.keys()  # its 14
    strongest = {name: (strengths.at(30, False), strengths.at(30, True)) for name, strengths in space.items()}
    assert strongest["rotate"] == (135, -135)
    assert strongest["shear_x"] == strongest["shear_y"] == (0.99, -0.99)
    assert strongest["translate_x"] == strongest["translate_y"] == (32, -32)
    for name in ("brightness", "contrast", "sharpness", "color"):
        assert strongest[name] == pytest.approx((1.99, 0.01))
    assert strongest["posterize"] == (2, 2)
    assert strongest["solarize"] == (0, 0)
    assert space["posterize"].at(15, False) == 5
    assert space["rotate"].at(10, True) == -45


def test_the_space_of_rand_augment_is_that_of_auto_augment():
    space = rand_augment_space(3, 224, 331)
    strongest = {name: strengths.at(30, False) for name, strengths in space.items()}
    assert (strongest["rotate"], strongest["shear_x"], strongest["posterize"]) == (30, 0.3, 4)
    assert (strongest["translate_x"], strongest["translate_y"]) == pytest.approx((150, 150 / 331 * 224))
    assert (strongest["brightness"], space["brightness"].at(30, True)) == pytest.approx((1.9, 0.1))


def test_no_translation_of_a_small_image_goes_beyond_its_size():
    space = wide_space(1, 8, 12)
    assert (space["translate_y"].strongest, space["translate_x"].strongest) == (8, 12)


def test_only_images_of_three_channels_have_colours_to_change():
    assert "color" in wide_space(3, 8, 8)
    assert wide_space(3, 8, 8).keys() - wide_space(1, 8, 8).keys() == {"color"}
    assert rand_augment_space(3, 8, 8).keys() - rand_augment_space(4, 8, 8).keys() == {"color"}


def test_every_operation_and_every_level_is_as_likely():
    space = wide_space(3, 8, 8)
    drawn = [draw_any_strength(DrawKey(0, 0, row), space) for row in range(14 * 400)]
    counts = Counter(name for name, _ in drawn)
    # Each is binomial with mean 400 and a standard deviation of 19: five of them are a wide margin.
    assert len(counts) == 14
    assert all(abs(count - 400) < 5 * 19.3 for count in counts.values())
    angles = [strength for name, strength in drawn if name == "rotate"]
    assert {round(abs(angle) / 4.5) for angle in angles} == set(range(31))
    assert 0.4 < sum(angle > 0 for angle in angles) / sum(angle != 0 for angle in angles) < 0.6


def test_rand_augment_draws_as_many_operations_as_it_is_told_all_at_its_strength():
    space = rand_augment_space(3, 8, 8)
    drawn = [draw_one_strength(DrawKey(0, 0, row), space, num_operations=3, magnitude=20) for row in range(200)]
    assert {len(operations) for operations in drawn} == {3}
    assert {strength for operations in drawn for name, strength in operations if name == "rotate"} == {20.0, -20.0}
    assert {name for operations in drawn for name, _ in operations} == OPERATIONS.keys() | WARPS.keys()


def test_the_operations_of_rand_augment_follow_one_another():
    images = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    keys = [DrawKey(0, 0, row) for row in range(4)]
    drawn = [draw_one_strength(key, rand_augment_space(3, 16, 16), 3, 15) for key in keys]
    expected = images
    for turn in range(3):
        expected = apply_operations(expected, [operations[turn] for operations in drawn])
    assert torch.equal(rand_augment(images, keys, num_operations=3, magnitude=15), expected)


def test_magnitude_zero_leaves_images_as_they_are_apart_from_operations_without_a_strength():
    images = torch.randint(0, 256, (64, 3, 32, 32), generator=torch.Generator().manual_seed(0)) / 255
    for name, strengths in rand_augment_space(3, 32, 32).items():
        if name not in ("auto_contrast", "equalize"):
            same = apply_operations(images, [(name, strengths.at(0, True))] * 64)
            torch.testing.assert_close(same, images, atol=1e-5, rtol=0)


def test_rows_get_their_own_operation_in_whatever_order_they_stand():
    images = torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    drawn = [("solarize", 0.3), ("rotate", 30), ("identity", 0), ("solarize", 0.8), ("shear_x", 0.2), ("color", 0.1)]
    changed = apply_operations(images, drawn)
    for row, (name, strength) in enumerate(drawn):
        alone = images[row : row + 1]
        if name in WARPS:
            expected = warp(alone, [WARPS[name](strength, 16, 16)])
        else:
            expected = OPERATIONS[name](alone, torch.tensor([strength]))
        torch.testing.assert_close(changed[row : row + 1], expected, atol=1e-6, rtol=0)
