"""example -> example: augmentation by name, a pure function of the example and of who draws."""

from hf_strategies.augmentation.image_spec import ImageSpec, parse_image_spec
from hf_strategies.augmentation.shelf import IMAGE_AUGMENTATIONS, IMAGE_MIXES

__all__ = ["IMAGE_AUGMENTATIONS", "IMAGE_MIXES", "ImageSpec", "parse_image_spec"]
