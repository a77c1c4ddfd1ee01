import pickle

import torch

from hf_strategies.augmentation import ImageSpec, parse_image_spec
from hf_strategies.augmentation.augmented_images import AugmentedImages
from hf_strategies.augmentation.image_batches import ImageBatches

IMAGES = torch.randint(0, 256, (6, 3, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
SPEC = parse_image_spec(["trivial_augment"], {"name": "mixup", "probability": 1.0})
SETTINGS = {"seed": 3, "num_examples": 6, "num_labels": 6, "mean": [0.5] * 3, "std": [0.25] * 3}


def load(index: int) -> tuple[torch.Tensor, int]:
    return IMAGES[index], index


def assert_same(ours, theirs):
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_by_index_images_are_as_they_are_and_labels_are_classes():
    dataset = AugmentedImages(load, SPEC, **SETTINGS)
    batch = dataset.collate([dataset[4], dataset[1]])
    assert_same(batch, ImageBatches(load, ImageSpec(), **SETTINGS)([(4, 0), (1, 0)]))
    assert batch["labels"].tolist() == [4, 1]


def test_a_draw_is_augmented_as_in_its_epoch_in_a_copy_too():
    dataset = AugmentedImages(load, SPEC, **SETTINGS)
    expected = ImageBatches(load, SPEC, **SETTINGS)([(4, 7), (1, 2)])
    for each in (dataset, pickle.loads(pickle.dumps(dataset))):
        assert len(each) == 6
        assert_same(each.collate([each.draw(4, 7), each.draw(1, 2)]), expected)
