"""The augmentations that can be chosen by name.

What stands on a shelf of images takes a batch and a key per row, and its settings. The facts: `hyperparameters` are
what a user may set, each with the rule for its value; `package` and `extra` are what must be installed.
"""

from hf_strategies.ranges import COUNT, POSITIVE, RATIO, Rule, is_number, is_whole, or_none
from hf_strategies.registry import Registry

IMAGE_AUGMENTATIONS: Registry = Registry("image augmentation")
IMAGE_MIXES: Registry = Registry("way of mixing images")


def _is_area_range(value: object) -> bool:
    if not isinstance(value, list | tuple) or len(value) != 2 or not all(map(is_number, value)):
        return False
    return 0 < value[0] <= value[1] <= 1


AREA_RANGE: Rule = (_is_area_range, "two shares of the image in (0, 1], the smaller one first, such as [0.5, 1]")
MAGNITUDE: Rule = (lambda value: is_whole(value) and 0 <= value <= 30, "a whole number in [0, 30]")

IMAGE_AUGMENTATIONS.add(
    "horizontal_flip",
    "hf_strategies.augmentation.image_crops:horizontal_flip",
    summary="left and right exchanged in a share of the images; not for digits or text",
    hyperparameters={"probability": RATIO},
)
IMAGE_AUGMENTATIONS.add(
    "random_crop",
    "hf_strategies.augmentation.image_crops:random_crop",
    summary="black padding on every side, then a window of the image's own size",
    paper="https://arxiv.org/abs/1512.03385",
    hyperparameters={"padding": or_none(COUNT, " for an eighth of the shorter side")},
)
IMAGE_AUGMENTATIONS.add(
    "random_resized_crop",
    "hf_strategies.augmentation.image_crops:random_resized_crop",
    summary="a window of any size and nearly any shape, enlarged to the image's own size",
    paper="https://arxiv.org/abs/1409.4842",
    hyperparameters={"area": AREA_RANGE},
)
IMAGE_AUGMENTATIONS.add(
    "random_erasing",
    "hf_strategies.augmentation.image_crops:random_erasing",
    summary="a rectangle of noise over a share of the images",
    paper="https://arxiv.org/abs/1708.04896",
    hyperparameters={"probability": RATIO, "area": AREA_RANGE},
)
IMAGE_AUGMENTATIONS.add(
    "trivial_augment",
    "hf_strategies.augmentation.image_policies:trivial_augment",
    summary="one operation per image at any strength, of a wide space; nothing to tune",
    paper="https://arxiv.org/abs/2103.10158",
    hyperparameters={},
    one_channel="the operation color is left out",
    package="kornia",
    extra="vision",
)
IMAGE_AUGMENTATIONS.add(
    "rand_augment",
    "hf_strategies.augmentation.image_policies:rand_augment",
    summary="a few operations per image, one after another, all at one strength",
    paper="https://arxiv.org/abs/1909.13719",
    hyperparameters={"num_operations": COUNT, "magnitude": MAGNITUDE},
    one_channel="the operation color is left out",
    package="kornia",
    extra="vision",
)

IMAGE_MIXES.add(
    "mixup",
    "hf_strategies.augmentation.mixing:mixup",
    summary="a weighted mean of two images and of their labels",
    paper="https://arxiv.org/abs/1710.09412",
    hyperparameters={"alpha": POSITIVE, "probability": RATIO},
)
IMAGE_MIXES.add(
    "cutmix",
    "hf_strategies.augmentation.mixing:cutmix",
    summary="a rectangle of another image, and as much of its label",
    paper="https://arxiv.org/abs/1905.04899",
    hyperparameters={"alpha": POSITIVE, "probability": RATIO},
)
