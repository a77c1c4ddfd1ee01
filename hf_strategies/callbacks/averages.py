"""Averages of a run's weights: when the weights of a moment count, and for how much. One rule for every tensor.

What a rule keeps of a tensor is `num_copies` tensors of its shape, in float32 or finer; how many moments are in them
already is `count`.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor


class Moment(NamedTuple):
    """Where a run stands after an update.

    Args:
        step: Updates done.
        max_steps: Updates in the whole run.
        ends_epoch: Whether a pass over the data has just ended.
    """

    step: int
    max_steps: int
    ends_epoch: bool


class Average(Protocol):
    """A rule of averaging."""

    @property
    def num_copies(self) -> int: ...

    def takes(self, moment: Moment) -> bool:
        """Tell whether the weights of a moment count."""
        ...

    def add_(self, copies: list[Tensor], value: Tensor, count: int) -> None:
        """Let a tensor's value, of the copies' type and device, count as the next after `count` others."""
        ...

    def mean(self, copies: list[Tensor], count: int) -> Tensor:
        """Return the average of `count` values, at least one; it may be one of the copies."""
        ...


def ema_decay(count: int, decay: float) -> float:
    """Return what the average of `count` earlier values keeps of itself when the next one comes.

    While `count` is small that is (1 + count) / (10 + count), which looks back over a tenth of the run so far: it
    forgets where the run began. No value at all keeps nothing.
    """
    return min(decay, (1 + count) / (10 + count)) if count else 0.0


@dataclass(frozen=True, kw_only=True)
class Ema:
    """Exponential moving average: each update's weights count `decay` times as much as those of the update after it.

    The decay grows to its value as in TensorFlow's moving averages. Growing, it is the power-law average of Karras et
    al. (https://arxiv.org/abs/2312.02696, section 3.1) with an exponent of 8.

    Paper: Polyak and Juditsky, https://doi.org/10.1137/0330046.

    Args:
        decay: In [0, 1); 0.999 looks back over about 1,000 updates.
    """

    decay: float = 0.999
    num_copies: ClassVar[int] = 1

    def takes(self, moment: Moment) -> bool:
        return True

    def add_(self, copies: list[Tensor], value: Tensor, count: int) -> None:
        copies[0].lerp_(value, 1.0 - ema_decay(count, self.decay))

    def mean(self, copies: list[Tensor], count: int) -> Tensor:
        return copies[0]


@dataclass(frozen=True, kw_only=True)
class Swa:
    """Stochastic weight averaging: the plain mean of the weights at the ends of epochs, late in the run.

    The end of the run counts too. It wants a learning rate that stays high, rather than one that falls to zero.

    Paper: https://arxiv.org/abs/1803.05407, algorithm 1.

    Args:
        start: Share of the run's updates after which it begins.
        every: Updates from one value to the next, in the place of epochs.
    """

    start: float = 0.75
    every: int | None = None
    num_copies: ClassVar[int] = 1

    def takes(self, moment: Moment) -> bool:
        return moment.step >= self.start * moment.max_steps and _is_mark(moment, self.every)

    def add_(self, copies: list[Tensor], value: Tensor, count: int) -> None:
        copies[0].lerp_(value, 1.0 / (count + 1))

    def mean(self, copies: list[Tensor], count: int) -> Tensor:
        return copies[0]


@dataclass(frozen=True, kw_only=True)
class LastK:
    """The plain mean of the weights at the last `k` ends of epochs; the end of the run counts too.

    Paper: latest weight averaging, https://arxiv.org/abs/2209.14981; of checkpoints, https://arxiv.org/abs/1706.03762,
    section 6.1.

    Args:
        k: How many.
        every: Updates from one value to the next, in the place of epochs: those between checkpoints, for instance.
    """

    k: int = 5
    every: int | None = None

    @property
    def num_copies(self) -> int:
        return self.k

    def takes(self, moment: Moment) -> bool:
        return _is_mark(moment, self.every)

    def add_(self, copies: list[Tensor], value: Tensor, count: int) -> None:
        copies[count % self.k].copy_(value)

    def mean(self, copies: list[Tensor], count: int) -> Tensor:
        return torch.stack(copies[: min(count, self.k)]).mean(dim=0)


def _is_mark(moment: Moment, every: int | None) -> bool:
    due = moment.ends_epoch if every is None else moment.step % every == 0
    return due or moment.step == moment.max_steps
