import pickle

import pytest
import torch
from torch.utils.data import DataLoader

from hf_strategies.augmentation import ImageSpec, parse_image_spec
from hf_strategies.augmentation.draw_key import DrawKey
from hf_strategies.augmentation.image_batches import ImageBatches, augment_images
from hf_strategies.augmentation.image_crops import horizontal_flip, random_crop
from hf_strategies.augmentation.mixing import draw_partner
from hf_strategies.errors import UserError


class Pictures:
    """Forty pictures of noise in four classes; picklable, and counts what is loaded."""

    def __init__(self, channels: int = 3) -> None:
        shape = (40, channels, 8, 8)
        self.images = torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
        self.loaded: list[int] = []

    def __call__(self, index: int) -> tuple[torch.Tensor, int]:
        self.loaded.append(index)
        return self.images[index], index % 4


def batches(spec: ImageSpec, channels: int = 3, **changes) -> ImageBatches:
    settings = {"seed": 1, "num_examples": 40, "num_labels": 4, "mean": [0.5] * channels, "std": [0.25] * channels}
    return ImageBatches(Pictures(channels), spec, **{**settings, **changes})


ALL = parse_image_spec(
    ["random_resized_crop", "horizontal_flip", "random_crop", "trivial_augment", "rand_augment", "random_erasing"],
    {"name": "cutmix", "probability": 0.7},
)


def test_without_augmentation_images_are_normalised_and_labels_are_classes():
    batch = batches(ImageSpec(), mean=[0.1, 0.2, 0.3], std=[0.5, 0.6, 0.7])([(5, 0), (2, 0)])
    levels = Pictures().images[[5, 2]] / 255
    expected = (levels - torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1)) / torch.tensor([0.5, 0.6, 0.7]).view(3, 1, 1)
    torch.testing.assert_close(batch["pixel_values"], expected)
    assert torch.equal(batch["labels"], torch.tensor([1, 2]))
    assert batch["labels"].dtype == torch.int64


def test_augmentations_are_applied_in_their_order():
    images = Pictures().images[:8] / 255
    keys = [DrawKey(1, 0, row) for row in range(8)]
    there = augment_images(
        images, parse_image_spec(["random_crop", {"name": "horizontal_flip", "probability": 1}]), keys
    )
    assert torch.equal(there, horizontal_flip(random_crop(images, keys), keys, probability=1))
    back = augment_images(
        images, parse_image_spec([{"name": "horizontal_flip", "probability": 1}, "random_crop"]), keys
    )
    assert not torch.equal(there, back)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_row_is_the_same_whatever_stands_beside_it(channels):
    together = batches(ALL, channels)([(index, 3) for index in range(16)])
    for row in range(16):
        alone = batches(ALL, channels)([(row, 3)])
        assert (together["pixel_values"][row] - alone["pixel_values"][0]).abs().max() <= 4e-6  # 1e-6 over a std of 1/4
        torch.testing.assert_close(together["labels"][row], alone["labels"][0])
    again = batches(ALL, channels)([(index, 4) for index in range(16)])
    assert not torch.equal(together["pixel_values"], again["pixel_values"])


def test_a_mixed_image_holds_its_partner_as_the_example_that_it_is_in_that_epoch():
    steps = ["random_crop", "trivial_augment"]
    made = batches(parse_image_spec(steps, {"name": "mixup", "alpha": 1.0}))
    plain = batches(parse_image_spec(steps))
    batch = made([(6, 2)])
    partner = draw_partner(DrawKey(1, 2, 6), 40)
    assert partner % 4 != 6 % 4  # another class, so that the label tells the share
    share = batch["labels"][0, 6 % 4].item()
    own, other = plain([(6, 2), (partner, 2)])["pixel_values"]
    assert batch["labels"].sum().item() == pytest.approx(1)
    torch.testing.assert_close(batch["pixel_values"][0], share * own + (1 - share) * other, atol=1e-5, rtol=0)


def test_labels_are_distributions_also_where_nothing_is_mixed_and_no_partner_is_loaded_then():
    made = batches(parse_image_spec(None, {"name": "cutmix", "probability": 0}))
    assert torch.equal(made([(6, 0), (7, 0)])["labels"], torch.eye(4)[[2, 3]])
    assert made.load.loaded == [6, 7]


def test_workers_make_the_same_batches():
    places = [(index, 1) for index in range(24)]
    made = batches(ALL)
    here = [made(places[start : start + 6]) for start in range(0, 24, 6)]
    copy = pickle.loads(pickle.dumps(made))
    there = list(DataLoader(places, batch_size=6, collate_fn=copy, num_workers=2, multiprocessing_context="fork"))
    for one, other in zip(here, there, strict=True):
        assert torch.equal(one["pixel_values"], other["pixel_values"])
        assert torch.equal(one["labels"], other["labels"])


def test_a_mean_for_other_channels_is_refused():
    made = batches(ImageSpec(), channels=1, mean=[0.5, 0.5, 0.5])
    with pytest.raises(UserError, match=r"images of 1 channels need as many values of mean and std, got \[0.5, 0.5"):
        made([(0, 0)])
