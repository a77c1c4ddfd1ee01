import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hf_strategies.augmentation.draw_key import DrawKey
from hf_strategies.augmentation.image_crops import (
    draw_window,
    enlarge,
    horizontal_flip,
    random_crop,
    random_erasing,
    random_resized_crop,
)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(400, 2, 8, 10, generator=torch.Generator().manual_seed(0)) + 0.001  # nothing is black


KEYS = [DrawKey(0, 0, row) for row in range(400)]


def test_flipped_images_are_mirrored_and_their_share_is_what_was_asked_for(images):
    flipped = horizontal_flip(images, KEYS, probability=0.3)
    mirrored = [torch.equal(one, before.flip(-1)) for one, before in zip(flipped, images, strict=True)]
    unchanged = [torch.equal(one, before) for one, before in zip(flipped, images, strict=True)]
    assert sum(mirrored) + sum(unchanged) == 400
    assert abs(sum(mirrored) - 120) < 5 * math.sqrt(400 * 0.3 * 0.7)
    assert torch.equal(horizontal_flip(images, KEYS, probability=1.0), images.flip(-1))
    assert torch.equal(horizontal_flip(images, KEYS, probability=0.0), images)


def test_a_crop_is_a_window_of_the_padded_image_and_every_window_is_found(images):
    images = images[:1].expand(400, -1, -1, -1)
    windows = F.pad(images[0], (2, 2, 2, 2)).unfold(1, 8, 1).unfold(2, 10, 1)  # [channels, 5, 5, 8, 10]
    found = {
        (top, left)
        for one in random_crop(images, KEYS, padding=2)
        for top in range(5)
        for left in range(5)
        if torch.equal(one, windows[:, top, left])
    }
    assert len(found) == 25


@pytest.mark.parametrize(("side", "padding"), [(32, 4), (8, 1), (4, 1), (224, 28)])
def test_by_default_padding_is_an_eighth_of_the_side(side, padding):
    image = torch.ones(20, 1, side, side)
    cropped = random_crop(image, KEYS[:20])
    most = max(side - int(one[0].amax(0).sum()) for one in cropped)  # columns that are black
    assert most <= padding
    assert most > 0
    assert torch.equal(cropped, random_crop(image, KEYS[:20], padding=padding))


def test_a_resized_crop_of_the_whole_image_is_the_image():
    images = torch.rand(5, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(random_resized_crop(images, KEYS[:5], area=(1, 1)), images, atol=1e-6, rtol=0)


def test_windows_of_a_resized_crop_come_in_all_sizes_of_the_range():
    # The darkest and the brightest pixel of a ramp that is seen say how wide the window is.
    ramp = torch.arange(32.0).expand(300, 1, 32, 32)
    seen = random_resized_crop(ramp, KEYS[:300], area=(0.25, 0.25))
    widths = (seen.amax((1, 2, 3)) - seen.amin((1, 2, 3))) * 32 / 31
    # A quarter of the image, from four rows to three columns to three rows to four columns: 13.9 to 18.5 wide.
    assert 13 < widths.min() < 15
    assert 17.5 < widths.max() < 19.5


def test_a_window_is_enlarged_to_the_whole_image():
    # On a ramp, pixel i of an enlarged window shows the place left + (i + 1/2) * width / 12 - 1/2 of the image.
    ramp = torch.arange(12.0).expand(1, 1, 12, 12)
    both = torch.cat([ramp, ramp.transpose(-2, -1)])
    across, down = enlarge(both, [(2, 4, 3, 6)] * 2)
    pixels = torch.arange(12.0) + 0.5
    torch.testing.assert_close(across[0, 0], 4 + pixels * 6 / 12 - 0.5)
    torch.testing.assert_close(down[0, :, 0], 2 + pixels * 3 / 12 - 0.5)


def test_erasing_puts_noise_in_a_rectangle_and_leaves_the_rest(images):
    erased = random_erasing(images, KEYS, probability=0.5, area=(0.1, 0.4))
    changed = (erased != images).any(dim=1)  # [rows, height, width]
    hit = changed.flatten(1).any(dim=1)
    assert abs(int(hit.sum()) - 200) < 5 * 10
    for mask in changed[hit]:
        rows, columns = mask.any(dim=1).nonzero().flatten(), mask.any(dim=0).nonzero().flatten()
        high, wide = int(rows[-1] - rows[0]) + 1, int(columns[-1] - columns[0]) + 1
        assert int(mask.sum()) == high * wide
    shares = changed[hit].flatten(1).float().mean(dim=1)
    assert shares.mean().item() == pytest.approx(0.25, abs=5 * 0.3 / math.sqrt(12 * 200))
    noise = (erased - images)[changed[:, None].expand_as(images)] + images[changed[:, None].expand_as(images)]
    # Uniform in [0, 1]: mean 1/2, variance 1/12; about 6,000 values.
    assert noise.mean().item() == pytest.approx(0.5, abs=0.03)
    assert noise.var().item() == pytest.approx(1 / 12, abs=0.01)


def test_a_window_has_the_area_and_the_shape_that_were_asked_for():
    draws = np.random.default_rng(0)
    windows = [draw_window(draws, 100, 100, (0.04, 0.36), (0.5, 2.0)) for _ in range(500)]
    shares = [rows * columns / 1e4 for _, _, rows, columns in windows]
    ratios = [rows / columns for _, _, rows, columns in windows]
    assert 0.035 < min(shares) < 0.06  # rounded to whole pixels
    assert 0.34 < max(shares) < 0.37
    assert np.mean(shares) == pytest.approx(0.2, abs=0.02)
    assert 0.46 < min(ratios) < 0.55
    assert 1.85 < max(ratios) < 2.15
    assert np.median(ratios) == pytest.approx(1, abs=0.1)  # flat ones are as likely as tall ones
    assert all(top + rows <= 100 and left + columns <= 100 for top, left, rows, columns in windows)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (1, 40), (40, 1), (5, 30)])
@pytest.mark.parametrize("area", [(0.001, 0.001), (0.3, 0.9), (1.0, 1.0)])
def test_a_window_fits_into_any_image(height, width, area):
    draws = np.random.default_rng(0)
    for _ in range(50):
        top, left, rows, columns = draw_window(draws, height, width, area, (0.3, 1 / 0.3))
        assert 1 <= rows <= height
        assert 1 <= columns <= width
        assert 0 <= top <= height - rows
        assert 0 <= left <= width - columns
    if area == (1.0, 1.0):
        assert (rows, columns) == (height, width)
