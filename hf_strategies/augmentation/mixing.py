"""Mixing an image with another of the data set, and its label in the same shares.

What is drawn, by the example alone: its partner, and how much of each of its own pixels is kept. What is computed is
the same for every way of mixing: `mix`.
"""

import math

import torch
from torch import Tensor

from hf_strategies.augmentation.draw_key import DrawKey
from hf_strategies.randomness import generator


def draw_partner(key: DrawKey, num_examples: int) -> int:
    """Draw what an example is mixed with: another one, from the whole data set, whatever batch it stands in.

    Args:
        key: Who draws.
        num_examples: Size of the data set; in one of a single example, that is its own partner.
    """
    if num_examples == 1:
        return key.example
    step = generator(*key, "partner").integers(1, num_examples)
    return int((key.example + step) % num_examples)


def mixup(key: DrawKey, height: int, width: int, *, alpha: float = 0.2, probability: float = 1.0) -> Tensor:
    """Draw one share for all pixels, from Beta(alpha, alpha) (Zhang et al. 2018, section 2).

    Args:
        key: Who draws.
        height: Of the image, in pixels.
        width: Of the image, in pixels.
        alpha: Small: mostly one image or the other; 1: any share is as likely.
        probability: Share of the images that are mixed.

    Returns:
        How much of the image's own pixels is kept, in [0, 1]. `[height, width]`
    """
    draws = generator(*key, "mixup")
    share = draws.beta(alpha, alpha) if draws.random() < probability else 1.0
    return torch.full((height, width), share)


def cutmix(key: DrawKey, height: int, width: int, *, alpha: float = 1.0, probability: float = 0.5) -> Tensor:
    """Draw a rectangle to take from the partner: a share of 1 - Beta(alpha, alpha), less what the edge cuts off.

    Its sides are in the image's proportion, its middle is any pixel (Yun et al. 2019, section 3.1).

    Args:
        key: Who draws.
        height: Of the image, in pixels.
        width: Of the image, in pixels.
        alpha: Small: nearly nothing or nearly all; 1: any share is as likely.
        probability: Share of the images that are mixed.

    Returns:
        1 where the image's own pixels are kept, 0 in the rectangle. `[height, width]`
    """
    kept = torch.ones(height, width)
    draws = generator(*key, "cutmix")
    if draws.random() < probability:
        side = math.sqrt(1 - draws.beta(alpha, alpha))
        rows, columns = int(side * height), int(side * width)
        top, left = draws.integers(height) - rows // 2, draws.integers(width) - columns // 2
        kept[max(top, 0) : top + rows, max(left, 0) : left + columns] = 0
    return kept


def mix(
    images: Tensor, partners: Tensor, labels: Tensor, partner_labels: Tensor, kept: Tensor
) -> tuple[Tensor, Tensor]:
    """Mix images, and their labels in the shares that their pixels have.

    Args:
        images: `[rows, channels, height, width]`
        partners: What each is mixed with, of the same shape.
        labels: Distributions over the classes. `[rows, classes]`
        partner_labels: Those of the partners, of the same shape.
        kept: How much of the image's own pixels is kept, in [0, 1]. `[rows, height, width]`

    Returns:
        Images and labels, of the shapes that were given.
    """
    shares = kept.mean((-2, -1))
    return torch.lerp(partners, images, kept[:, None]), torch.lerp(partner_labels, labels, shares[:, None])
