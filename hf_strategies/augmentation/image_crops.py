"""Flips, crops and erasing: what changes where a picture stands, and which part of it is seen.

All take images `[rows, channels, height, width]` in [0, 1] and one key per row, and return new images of that shape. A
row comes out the same in any batch.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hf_strategies.augmentation.draw_key import DrawKey
from hf_strategies.randomness import generator

CROP_RATIOS = (3 / 4, 4 / 3)  # of height to width
ERASED_RATIOS = (0.3, 1 / 0.3)


def horizontal_flip(images: Tensor, keys: Sequence[DrawKey], *, probability: float = 0.5) -> Tensor:
    """Exchange left and right.

    Args:
        images: Batch.
        keys: Who draws, per row.
        probability: Share of the images that are flipped.
    """
    flipped = [generator(*key, "horizontal_flip").random() < probability for key in keys]
    return torch.where(torch.tensor(flipped, device=images.device)[:, None, None, None], images.flip(-1), images)


def random_crop(images: Tensor, keys: Sequence[DrawKey], *, padding: int | None = None) -> Tensor:
    """Pad with black, and take a window of the image's size from anywhere (He et al. 2016, section 4.2).

    Args:
        images: Batch.
        keys: Who draws, per row.
        padding: Pixels on every side; None: an eighth of the shorter side, such as the 4 of 32 that are usual.
    """
    height, width = images.shape[-2:]
    if padding is None:
        padding = max(min(height, width) // 8, 1)
    padded = F.pad(images, [padding] * 4)
    corners = [generator(*key, "random_crop").integers(2 * padding + 1, size=2) for key in keys]
    return torch.stack(
        [one[:, top : top + height, left : left + width] for one, (top, left) in zip(padded, corners, strict=True)]
    )


def random_resized_crop(images: Tensor, keys: Sequence[DrawKey], *, area: tuple[float, float] = (0.08, 1.0)) -> Tensor:
    """Take a window of any size in a range, and enlarge it to the image's size (Szegedy et al. 2015, section 6).

    Args:
        images: Batch.
        keys: Who draws, per row.
        area: Smallest and largest window, as shares of the image.
    """
    height, width = images.shape[-2:]
    windows = [draw_window(generator(*key, "random_resized_crop"), height, width, area, CROP_RATIOS) for key in keys]
    return enlarge(images, windows)


def random_erasing(
    images: Tensor,
    keys: Sequence[DrawKey],
    *,
    probability: float = 0.5,
    area: tuple[float, float] = (0.02, 0.4),
) -> Tensor:
    """Put a rectangle of noise, uniform in [0, 1], over an image (Zhong et al. 2020, their RE-R).

    Args:
        images: Batch.
        keys: Who draws, per row.
        probability: Share of the images that lose a rectangle.
        area: Smallest and largest rectangle, as shares of the image.
    """
    channels, height, width = images.shape[1:]
    erased = images.clone()
    for row, key in zip(erased, keys, strict=True):
        draws = generator(*key, "random_erasing")
        if draws.random() < probability:
            top, left, high, wide = draw_window(draws, height, width, area, ERASED_RATIOS)
            noise = torch.from_numpy(draws.random((channels, high, wide), dtype=np.float32))
            row[:, top : top + high, left : left + wide] = noise.to(row)
    return erased


def enlarge(images: Tensor, windows: Sequence[tuple[int, int, int, int]]) -> Tensor:
    """Enlarge a window of each image to the size of the image, with bilinear interpolation.

    Args:
        images: Batch.
        windows: Top, left, height and width in pixels, per row.
    """
    height, width = images.shape[-2:]
    top, left, high, wide = torch.tensor(windows, dtype=images.dtype, device=images.device).T
    zero = torch.zeros_like(top)
    horizontal = torch.stack([wide / width, zero, (2 * left + wide) / width - 1], dim=-1)
    vertical = torch.stack([zero, high / height, (2 * top + high) / height - 1], dim=-1)
    grid = F.affine_grid(torch.stack([horizontal, vertical], dim=1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def draw_window(
    draws: np.random.Generator,
    height: int,
    width: int,
    area: tuple[float, float],
    ratios: tuple[float, float],
) -> tuple[int, int, int, int]:
    """Draw a rectangle of whole pixels: its area uniformly, its shape from those that fit, its place from all.

    Args:
        draws: Who draws.
        height: Of the image, in pixels.
        width: Of the image, in pixels.
        area: Smallest and largest area, as shares of the image.
        ratios: Smallest and largest ratio of height to width, drawn on a logarithmic scale.

    Returns:
        Top, left, height and width in pixels.
    """
    share = draws.uniform(*area)
    # What would be higher or wider than the image is left out of the draw, so that nothing has to be drawn again.
    flattest, tallest = share * height / width, height / (share * width)
    low, high = (math.log(min(max(ratio, flattest), tallest)) for ratio in ratios)
    ratio = math.exp(draws.uniform(low, high))
    rows = min(max(round(math.sqrt(share * height * width * ratio)), 1), height)
    columns = min(max(round(math.sqrt(share * height * width / ratio)), 1), width)
    return int(draws.integers(height - rows + 1)), int(draws.integers(width - columns + 1)), rows, columns
