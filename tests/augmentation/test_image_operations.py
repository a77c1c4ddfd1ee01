"""Each operation against Pillow's, which the policies' papers used; differences are those of rounding to 8 bits."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from hf_strategies.augmentation.image_operations import OPERATIONS


@pytest.fixture
def pictures() -> list[Image.Image]:
    """Smooth pictures with all sorts of levels, of as many pixels as make equalisation do something."""
    ramp = np.linspace(0, 1, 40)
    waves = [np.sin(ramp[:, None] * (3 + row) + ramp[None, :] * (5 - row)) for row in range(3)]
    levels = [np.stack([60 + 50 * wave, 120 + 90 * wave, 200 - 50 * wave], axis=-1) for wave in waves]
    return [Image.fromarray(one.astype(np.uint8)) for one in levels]


def as_batch(pictures: list[Image.Image]) -> torch.Tensor:
    return torch.from_numpy(np.stack([np.array(one) for one in pictures])).permute(0, 3, 1, 2) / 255


def in_pillow(name: str, picture: Image.Image, strength: float) -> Image.Image:
    if name in ("brightness", "contrast", "color", "sharpness"):
        return getattr(ImageEnhance, name.capitalize())(picture).enhance(strength)
    return {
        "identity": lambda: picture,
        "auto_contrast": lambda: ImageOps.autocontrast(picture),
        "equalize": lambda: ImageOps.equalize(picture),
        "posterize": lambda: ImageOps.posterize(picture, round(strength)),
        "solarize": lambda: ImageOps.solarize(picture, round(strength * 255)),
    }[name]()


STRENGTHS = {"posterize": [2.2, 4.0, 7.6], "solarize": [40 / 255, 128 / 255, 256 / 255]}


@pytest.mark.parametrize("name", OPERATIONS)
def test_is_what_pillow_makes_of_each_image_at_its_own_strength(name, pictures):
    strengths = STRENGTHS.get(name, [0.05, 0.6, 1.7])
    ours = OPERATIONS[name](as_batch(pictures), torch.tensor(strengths))
    theirs = as_batch([in_pillow(name, one, strength) for one, strength in zip(pictures, strengths, strict=True)])
    # Pillow rounds down, some of it twice (the mean grey, then the result); what needs no rounding is equal.
    levels = 2 if name in ("brightness", "contrast", "color", "sharpness", "auto_contrast") else 1e-3
    assert (ours - theirs).abs().max() * 255 <= levels


@pytest.mark.parametrize("name", ["brightness", "contrast", "color", "sharpness"])
def test_at_strength_one_an_enhancement_changes_nothing(name, pictures):
    images = as_batch(pictures)
    torch.testing.assert_close(OPERATIONS[name](images, torch.ones(3)), images, atol=1e-6, rtol=0)


def test_hand_values():
    image = torch.tensor([0.0, 0.25, 0.5, 1.0]).view(1, 1, 2, 2)
    strength = torch.tensor([0.5])
    assert OPERATIONS["solarize"](image, strength).flatten().tolist() == [0.0, 0.25, 0.5, 0.0]
    assert OPERATIONS["brightness"](image, strength).flatten().tolist() == [0.0, 0.125, 0.25, 0.5]
    # The mean is 0.4375; half of the way to it.
    assert OPERATIONS["contrast"](image, strength).flatten().tolist() == [0.21875, 0.34375, 0.46875, 0.71875]
    # One bit of eight: levels below 128 are 0, all others 128.
    levels = OPERATIONS["posterize"](torch.tensor([127, 128, 255]).view(1, 1, 1, 3) / 255, torch.tensor([1.0])) * 255
    torch.testing.assert_close(levels.flatten(), torch.tensor([0.0, 128.0, 128.0]))


def test_sharpness_pulls_a_point_away_from_the_mean_of_its_neighbours_and_leaves_the_border():
    image = torch.zeros(1, 1, 5, 5)
    image[0, 0, 2, 2] = 0.52
    image[0, 0, 0, 0] = 1.0
    smoothed = OPERATIONS["sharpness"](image, torch.tensor([0.0]))[0, 0]
    assert smoothed[2, 2].item() == pytest.approx(0.52 * 5 / 13)
    assert smoothed[1, 2].item() == pytest.approx(0.52 / 13)
    assert smoothed[1, 1].item() == pytest.approx((0.52 + 1.0) / 13)
    assert smoothed[0, 0] == 1.0
    assert OPERATIONS["sharpness"](image, torch.tensor([1.5]))[0, 0, 2, 2].item() == pytest.approx(0.52 * 17 / 13)


def test_a_channel_of_one_value_has_no_contrast_to_stretch():
    image = torch.stack([torch.full((4, 4), 0.3), torch.linspace(0.2, 0.6, 16).view(4, 4)])[None]
    stretched = OPERATIONS["auto_contrast"](image, torch.zeros(1))[0]
    assert torch.equal(stretched[0], image[0, 0])
    torch.testing.assert_close(stretched[1], torch.linspace(0, 1, 16).view(4, 4))
