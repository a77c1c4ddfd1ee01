"""The operations that policies draw from, besides warps: each is one call for many images, with a strength per row.

All take images `[rows, channels, height, width]` in [0, 1] and strengths `[rows]`, and return new images in [0, 1]
whose every row depends on its own strength alone.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from hf_strategies.augmentation.vision_package import kornia


def identity(images: Tensor, _: Tensor) -> Tensor:
    """Change nothing."""
    return images


def auto_contrast(images: Tensor, _: Tensor) -> Tensor:
    """Stretch each channel to [0, 1]; one of a single value stays as it is."""
    low, high = images.amin((-2, -1), keepdim=True), images.amax((-2, -1), keepdim=True)
    return torch.where(high > low, (images - low) / (high - low), images)


def equalize(images: Tensor, _: Tensor) -> Tensor:
    """Spread the levels of each channel evenly over its pixels."""
    return kornia().enhance.equalize(images)


def brightness(images: Tensor, factors: Tensor) -> Tensor:
    """Go from black (0) through the image (1) to more light."""
    return kornia().enhance.adjust_brightness_accumulative(images, factors)


def contrast(images: Tensor, factors: Tensor) -> Tensor:
    """Go from the image's mean grey (0) through the image (1) to stronger differences."""
    return kornia().enhance.adjust_contrast_with_mean_subtraction(images, factors)


def color(images: Tensor, factors: Tensor) -> Tensor:
    """Go from the grey image (0) through the image (1) to stronger colours; three channels."""
    return kornia().enhance.adjust_saturation_with_gray_subtraction(images, factors)


def sharpness(images: Tensor, factors: Tensor) -> Tensor:
    """Go from the smoothed image (0) through the image (1) to stronger edges; the border stays as it is.

    Smoothed is the mean of three by three pixels, the middle one counted five times. It is added up of slices: on a
    CPU that takes a quarter of the time of kornia's convolution.
    """
    inside = images[..., 1:-1, 1:-1]
    columns = images[..., :-2, :] + images[..., 1:-1, :] + images[..., 2:, :]
    smoothed = (columns[..., :-2] + columns[..., 1:-1] + columns[..., 2:] + 4 * inside) / 13
    sharpened = images.clone()
    sharpened[..., 1:-1, 1:-1] = torch.lerp(smoothed, inside, factors[:, None, None, None]).clamp(0, 1)
    return sharpened


def posterize(images: Tensor, bits: Tensor) -> Tensor:
    """Keep the highest of eight bits; `bits` are rounded."""
    return kornia().enhance.posterize(images, bits.round().int())


def solarize(images: Tensor, thresholds: Tensor) -> Tensor:
    """Invert what is at the threshold or above."""
    return kornia().enhance.solarize(images, thresholds)


OPERATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "identity": identity,
    "auto_contrast": auto_contrast,
    "equalize": equalize,
    "brightness": brightness,
    "contrast": contrast,
    "sharpness": sharpness,
    "posterize": posterize,
    "solarize": solarize,
    "color": color,
}
