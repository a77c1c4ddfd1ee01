"""What a recipe may say about the augmentation of images, checked without torch."""

from dataclasses import dataclass
from typing import Any

from hf_strategies.augmentation.shelf import IMAGE_AUGMENTATIONS, IMAGE_MIXES
from hf_strategies.augmentation.spec import Step, parse_step, parse_steps


@dataclass(frozen=True)
class ImageSpec:
    """How the images of a training batch are changed.

    Args:
        steps: Augmentations of single images, in the order in which they are applied.
        mix: How an image is mixed with another; None: not at all, and labels stay hard.
    """

    steps: tuple[Step, ...] = ()
    mix: Step | None = None


def parse_image_spec(augmentation: Any = None, mix: Any = None) -> ImageSpec:
    """Read what a recipe, a flag or a caller gives.

    Args:
        augmentation: A list such as `[trivial_augment, {name: random_erasing, probability: 0.25}]`; None for none.
        mix: A mapping such as `{name: cutmix, alpha: 1.0, probability: 0.5}`, or a name; None for none.

    Raises:
        UserError: As `parse_steps` and `parse_step`.
    """
    steps = parse_steps("image_augmentation", augmentation, IMAGE_AUGMENTATIONS)
    return ImageSpec(steps, None if mix is None else parse_step("image_mix", mix, IMAGE_MIXES))
