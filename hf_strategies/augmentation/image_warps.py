"""Rotation, shear and translation: matrices that move pixels, and one call that applies one of them to each image.

A matrix `[2, 3]` maps (x, y, 1) of a pixel in the image to its (x, y) in the result, in pixels from the middle of the
upper left one, x to the right and y down.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from hf_strategies.augmentation.vision_package import kornia

Matrix = tuple[tuple[float, float, float], tuple[float, float, float]]


def rotate(degrees: float, height: int, width: int) -> Matrix:
    """Turn around the middle, counter-clockwise."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x, y = (width - 1) / 2, (height - 1) / 2
    return (cos, sin, x - cos * x - sin * y), (-sin, cos, y + sin * x - cos * y)


def shear_x(factor: float, *_: int) -> Matrix:
    """Move each row of pixels to the right by `factor` times its distance from the top."""
    return (1, factor, 0), (0, 1, 0)


def shear_y(factor: float, *_: int) -> Matrix:
    """Move each column of pixels down by `factor` times its distance from the left."""
    return (1, 0, 0), (factor, 1, 0)


def translate_x(pixels: float, *_: int) -> Matrix:
    """Move to the right by whole pixels."""
    return (1, 0, round(pixels)), (0, 1, 0)


def translate_y(pixels: float, *_: int) -> Matrix:
    """Move down by whole pixels."""
    return (1, 0, 0), (0, 1, round(pixels))


# From a strength, and the image's height and width in pixels.
WARPS: dict[str, Callable[[float, int, int], Matrix]] = {
    "rotate": rotate,
    "shear_x": shear_x,
    "shear_y": shear_y,
    "translate_x": translate_x,
    "translate_y": translate_y,
}


def warp(images: Tensor, matrices: Sequence[Matrix]) -> Tensor:
    """Move the pixels of each image by a matrix of its own, with bilinear interpolation; what moves in is black.

    Args:
        images: `[rows, channels, height, width]`
        matrices: One per row.
    """
    height, width = images.shape[-2:]
    moves = torch.tensor(matrices, dtype=images.dtype, device=images.device)
    return kornia().geometry.transform.warp_affine(images, moves, (height, width))
