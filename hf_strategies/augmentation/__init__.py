"""example -> example: augmentation by name, a pure function of the example and of who draws."""

from hf_strategies.augmentation.image_spec import ImageSpec, parse_image_spec
from hf_strategies.augmentation.shelf import IMAGE_AUGMENTATIONS, IMAGE_MIXES, TEXT_AUGMENTATIONS
from hf_strategies.augmentation.text import TextAugmenter, augment_text, parse_text_spec

__all__ = [
    "IMAGE_AUGMENTATIONS",
    "IMAGE_MIXES",
    "ImageSpec",
    "TEXT_AUGMENTATIONS",
    "TextAugmenter",
    "augment_text",
    "parse_image_spec",
    "parse_text_spec",
]
