"""What every augmentation of images promises: a row's result belongs to its example, and to nothing else."""

import inspect
import json
import random
import subprocess
import sys

import numpy as np
import pytest
import torch

from hf_strategies.augmentation import IMAGE_AUGMENTATIONS, IMAGE_MIXES
from hf_strategies.augmentation.draw_key import DrawKey

SIZES = {"colour": (3, 32, 32), "digits": (1, 8, 8), "wide": (3, 20, 37)}
EVERY_ROW = {"horizontal_flip": {"probability": 1.0}, "random_erasing": {"probability": 1.0}}


def some_images(rows: int, size: str) -> torch.Tensor:
    """Return images whose levels are those of 8 bits, as files have them."""
    levels = torch.randint(0, 256, (rows, *SIZES[size]), generator=torch.Generator().manual_seed(0))
    return levels / 255


def keys_of(rows: int, epoch: int = 0) -> list[DrawKey]:
    return [DrawKey(7, epoch, row) for row in range(rows)]


def test_the_shelves_are_whole():
    assert set(IMAGE_AUGMENTATIONS.names()) == {
        "horizontal_flip",
        "random_crop",
        "random_resized_crop",
        "random_erasing",
        "trivial_augment",
        "rand_augment",
    }
    assert set(IMAGE_MIXES.names()) == {"mixup", "cutmix"}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", IMAGE_AUGMENTATIONS.names())
def test_a_row_is_the_same_in_a_batch_of_one_and_in_any_place_of_a_larger_one(name, size):
    augment = IMAGE_AUGMENTATIONS[name].build
    images, keys = some_images(48, size), keys_of(48)
    together = augment(images, keys)
    turned = augment(images.flip(0), keys[::-1]).flip(0)
    alone = torch.cat([augment(images[row : row + 1], keys[row : row + 1]) for row in range(48)])
    assert (together - alone).abs().max() <= 1e-6
    assert (together - turned).abs().max() <= 1e-6


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", IMAGE_AUGMENTATIONS.names())
def test_images_stay_images_and_those_that_were_given_are_left_alone(name, size):
    images = some_images(48, size)
    before = images.clone()
    augmented = IMAGE_AUGMENTATIONS[name].build(images, keys_of(48))
    assert augmented.shape == images.shape
    assert augmented.dtype == images.dtype
    assert torch.equal(images, before)
    assert augmented.min() >= 0
    assert augmented.max() <= 1 + 1e-6  # interpolation's weights add up to 1 as float32 can
    assert not torch.equal(augmented, images)


@pytest.mark.parametrize("name", IMAGE_AUGMENTATIONS.names())
def test_an_example_looks_different_in_another_epoch_and_the_same_in_the_same(name):
    augment = IMAGE_AUGMENTATIONS[name].build
    images = some_images(32, "colour")
    first = augment(images, keys_of(32))
    assert torch.equal(first, augment(images, keys_of(32)))
    second = augment(images, keys_of(32, epoch=1))
    assert (first != second).flatten(1).any(dim=1).sum() >= 8  # of 32; a coin lands alike in half of them


@pytest.mark.parametrize("name", IMAGE_AUGMENTATIONS.names() + IMAGE_MIXES.names())
def test_no_global_stream_is_touched(name):
    torch.manual_seed(0)
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    if name in IMAGE_MIXES:
        IMAGE_MIXES[name].build(DrawKey(0, 0, 0), 8, 8)
    else:
        IMAGE_AUGMENTATIONS[name].build(some_images(16, "colour"), keys_of(16), **EVERY_ROW.get(name, {}))
    assert states[0] == random.getstate()
    assert states[1] == np.random.get_state()[1].tolist()
    assert torch.equal(states[2], torch.get_rng_state())


@pytest.mark.parametrize("entry", [*IMAGE_AUGMENTATIONS, *IMAGE_MIXES], ids=lambda entry: entry.name)
def test_what_can_be_set_is_what_the_function_takes_and_its_defaults_are_in_range(entry):
    taken = {
        name: found.default
        for name, found in inspect.signature(entry.build).parameters.items()
        if found.kind is found.KEYWORD_ONLY
    }
    ranges = entry.facts["hyperparameters"]
    assert taken.keys() == ranges.keys()
    assert all(ranges[name][0](default) for name, default in taken.items())


def test_what_a_recipe_says_is_checked_without_torch_and_without_kornia():
    program = (
        "import sys, json; from hf_strategies.augmentation import parse_image_spec\n"
        "spec = parse_image_spec(json.loads(sys.argv[1]), 'cutmix')\n"
        "assert len(spec.steps) == 6 and not {'torch', 'kornia'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program, json.dumps(IMAGE_AUGMENTATIONS.names())], check=True)
