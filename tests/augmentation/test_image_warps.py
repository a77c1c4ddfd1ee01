import pytest
import torch

from hf_strategies.augmentation.image_warps import WARPS, rotate, shear_x, shear_y, translate_x, translate_y, warp


@pytest.fixture
def image() -> torch.Tensor:
    return torch.rand(1, 2, 8, 11, generator=torch.Generator().manual_seed(0))


def warped(image, matrix) -> torch.Tensor:
    return warp(image, [matrix])


@pytest.mark.parametrize("pixels", [-3, 0, 1, 5])
def test_a_translation_by_k_pixels_moves_pixels_by_k_and_what_moves_in_is_black(image, pixels):
    right, down = warped(image, translate_x(pixels, 8, 11)), warped(image, translate_y(pixels, 8, 11))
    for column in range(11):
        source = image[..., column - pixels] if 0 <= column - pixels < 11 else torch.zeros(1, 2, 8)
        torch.testing.assert_close(right[..., column], source, atol=1e-5, rtol=0)
    for row in range(8):
        source = image[..., row - pixels, :] if 0 <= row - pixels < 8 else torch.zeros(1, 2, 11)
        torch.testing.assert_close(down[..., row, :], source, atol=1e-5, rtol=0)


def test_a_part_of_a_pixel_is_rounded_so_that_nothing_is_blurred(image):
    assert torch.equal(warped(image, translate_x(2.4, 8, 11)), warped(image, translate_x(2, 8, 11)))


def test_right_angles_turn_counter_clockwise():
    image = torch.rand(1, 2, 9, 9, generator=torch.Generator().manual_seed(0))
    for turns in (-1, 1, 2):
        turned = warped(image, rotate(90 * turns, 9, 9))
        torch.testing.assert_close(turned, torch.rot90(image, turns, (-2, -1)), atol=1e-5, rtol=0)


def test_half_a_turn_of_an_image_that_is_not_square_is_around_its_middle(image):
    torch.testing.assert_close(warped(image, rotate(180, 8, 11)), image.flip((-2, -1)), atol=1e-5, rtol=0)


def test_a_shear_by_one_moves_each_row_by_its_distance_from_the_top(image):
    moved = warped(image, shear_x(1, 8, 11))
    for row in range(8):
        torch.testing.assert_close(moved[..., row, row:], image[..., row, : 11 - row], atol=1e-5, rtol=0)
        assert moved[..., row, :row].abs().max().item() < 1e-5 if row else True
    moved = warped(image, shear_y(1, 8, 11))
    for column in range(8):
        torch.testing.assert_close(moved[..., column:, column], image[..., : 8 - column, column], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", WARPS)
def test_strength_zero_changes_nothing(image, name):
    torch.testing.assert_close(warped(image, WARPS[name](0, 8, 11)), image, atol=1e-5, rtol=0)


def test_each_image_has_a_matrix_of_its_own(image):
    both = warp(image.expand(2, -1, -1, -1), [rotate(30, 8, 11), translate_x(2, 8, 11)])
    torch.testing.assert_close(both[:1], warped(image, rotate(30, 8, 11)))
    torch.testing.assert_close(both[1:], warped(image, translate_x(2, 8, 11)))
