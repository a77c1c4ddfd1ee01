import numpy as np
import pytest
import torch
from transformers import VivitImageProcessor

from hf_strategies.tasks import TASKS
from hf_strategies.tasks.image_classification import ImageShape
from hf_strategies.tasks.task import TaskSettings

COLOURS = ImageShape(mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))


def first_sample(clip, shape):
    rows = [{"clip": clip, "label": label} for label in ("left", "right")]
    task = TASKS["clip-classification"].build(TaskSettings())
    task.settle(rows, rows, ())
    return task.dataset("train", rows, shape, seed=0)[0]["pixel_values"]


def test_pixels_are_normalised_as_the_hosts_processor_does_it():
    clip = np.random.default_rng(0).integers(0, 256, size=(3, 2, 8, 8)).astype(np.uint8)
    host = VivitImageProcessor(
        do_resize=False, do_center_crop=False, offset=False, rescale_factor=1 / 255,
        image_mean=list(COLOURS.mean), image_std=list(COLOURS.std),
    )  # fmt: skip
    expected = host(list(clip.transpose(1, 2, 3, 0)), return_tensors="pt")["pixel_values"][0]
    torch.testing.assert_close(first_sample(clip, COLOURS), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("kind", "highest"), [(np.uint8, 255), (np.uint16, 65535)])
def test_pixels_without_a_processor_reach_from_minus_one_to_one(kind, highest):
    clip = np.array([0, highest], dtype=kind).reshape(1, 2, 1, 1)
    assert first_sample(clip, ImageShape()).flatten().tolist() == [-1.0, 1.0]


def test_fractions_stay_as_they_are():
    clip = np.array([-7.5, 300.25], dtype=np.float64).reshape(1, 2, 1, 1)
    assert first_sample(clip, COLOURS).flatten().tolist() == [-7.5, 300.25]
