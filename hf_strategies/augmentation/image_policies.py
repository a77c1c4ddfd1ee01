"""Policies: which operations change an image, and how strongly."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hf_strategies.augmentation.draw_key import DrawKey
from hf_strategies.augmentation.image_operations import OPERATIONS
from hf_strategies.augmentation.image_warps import WARPS, warp
from hf_strategies.randomness import generator

STRONGEST_LEVEL = 30  # of strength, as both papers count it; level 0 changes nothing
NO_THRESHOLD = 256 / 255  # above white: nothing is inverted


@dataclass(frozen=True)
class Strengths:
    """The strengths of one operation, from the one that changes nothing to the strongest.

    Args:
        neutral: At level 0.
        strongest: At level 30.
        signed: The same distance to the other side of `neutral` is as likely.
    """

    neutral: float = 0.0
    strongest: float = 0.0
    signed: bool = False

    def at(self, level: int, other_side: bool) -> float:
        """Return the strength at a level in [0, 30], of those with a sign perhaps to the other side."""
        distance = (self.strongest - self.neutral) * level / STRONGEST_LEVEL
        return self.neutral + (-distance if self.signed and other_side else distance)


def wide_space(channels: int, height: int, width: int) -> dict[str, Strengths]:
    """Return TrivialAugment's wide space for an image; no translation goes beyond its own size."""
    return _space(
        channels, degrees=135, shear=0.99, right=min(32, width), down=min(32, height), enhancement=0.99, bits=2
    )


def rand_augment_space(channels: int, height: int, width: int) -> dict[str, Strengths]:
    """Return RandAugment's space for an image: AutoAugment's, with translations in proportion to its 331 pixels."""
    share = 150 / 331
    return _space(channels, degrees=30, shear=0.3, right=share * width, down=share * height, enhancement=0.9, bits=4)


def _space(
    channels: int, *, degrees: float, shear: float, right: float, down: float, enhancement: float, bits: int
) -> dict[str, Strengths]:
    enhanced = Strengths(1, 1 + enhancement, signed=True)
    space = {  # in the order of the draws: a change of it changes what a seed means
        "identity": Strengths(),
        "auto_contrast": Strengths(),
        "equalize": Strengths(),
        "rotate": Strengths(0, degrees, signed=True),
        "shear_x": Strengths(0, shear, signed=True),
        "shear_y": Strengths(0, shear, signed=True),
        "translate_x": Strengths(0, right, signed=True),
        "translate_y": Strengths(0, down, signed=True),
        "brightness": enhanced,
        "contrast": enhanced,
        "sharpness": enhanced,
        "posterize": Strengths(8, bits),
        "solarize": Strengths(NO_THRESHOLD, 0),
    }
    return {**space, "color": enhanced} if channels == 3 else space


def trivial_augment(images: Tensor, keys: Sequence[DrawKey]) -> Tensor:
    """Apply one operation to each image, at a strength of its own (Mueller and Hutter 2021, the wide space).

    Args:
        images: `[rows, channels, height, width]` in [0, 1].
        keys: Who draws, per row.
    """
    space = wide_space(*images.shape[1:])
    return apply_operations(images, [draw_any_strength(key, space) for key in keys])


def draw_any_strength(key: DrawKey, space: Mapping[str, Strengths]) -> tuple[str, float]:
    """Draw one operation, and one of its strengths."""
    operation, level, side = generator(*key, "trivial_augment").random(3).tolist()
    name = list(space)[int(operation * len(space))]
    return name, space[name].at(int(level * (STRONGEST_LEVEL + 1)), side < 0.5)


def rand_augment(images: Tensor, keys: Sequence[DrawKey], *, num_operations: int = 2, magnitude: int = 9) -> Tensor:
    """Apply some operations to each image, one after another, all at one strength (Cubuk et al. 2020).

    Args:
        images: `[rows, channels, height, width]` in [0, 1].
        keys: Who draws, per row.
        num_operations: Per image; one may be drawn again.
        magnitude: Strength, from 0, which changes nothing, to 30.
    """
    space = rand_augment_space(*images.shape[1:])
    for turn in zip(*(draw_one_strength(key, space, num_operations, magnitude) for key in keys), strict=True):
        images = apply_operations(images, turn)
    return images


def draw_one_strength(
    key: DrawKey, space: Mapping[str, Strengths], num_operations: int, magnitude: int
) -> list[tuple[str, float]]:
    """Draw operations at one level of strength."""
    names = list(space)
    draws = generator(*key, "rand_augment").random((num_operations, 2)).tolist()
    chosen = [(names[int(operation * len(names))], side < 0.5) for operation, side in draws]
    return [(name, space[name].at(magnitude, other_side)) for name, other_side in chosen]


def apply_operations(images: Tensor, drawn: Sequence[tuple[str, float]]) -> Tensor:
    """Apply one operation to each image; those with the same one are handled in one call, and so are all warps.

    Args:
        images: `[rows, channels, height, width]` in [0, 1].
        drawn: Name and strength of the operation of each row, the name from `WARPS` or `OPERATIONS`.
    """
    rows_of: dict[str, list[int]] = {}
    for row, (name, _) in enumerate(drawn):
        rows_of.setdefault("warp" if name in WARPS else name, []).append(row)
    changed = torch.empty_like(images)
    for name, rows in rows_of.items():
        places = torch.tensor(rows, device=images.device)
        chosen = images.index_select(0, places)
        if name == "warp":
            result = warp(chosen, [WARPS[drawn[row][0]](drawn[row][1], *images.shape[-2:]) for row in rows])
        else:
            result = OPERATIONS[name](chosen, torch.tensor([drawn[row][1] for row in rows]).to(images))
        changed.index_copy_(0, places, result)
    return changed
