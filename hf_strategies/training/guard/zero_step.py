"""DeepSpeed's optimizer step, which runs inside its backward pass: the place where a verdict can still stop it.

Both kinds of ZeRO optimizer (stages 1 and 2, and stage 3) reduce the gradients, take their norm, call `_update_scale`
with whether a scaled fp16 gradient has overflown, and leave without a step, everything cleaned up, where their own
`overflow` is then set. A guard that has its say in `_update_scale` therefore needs nothing else. DeepSpeed 0.18 calls
it before it takes the norm, in which it hides what is not finite: nothing can be judged there in time. Where
`compute_grad_norm` is off, an update is judged by its loss alone.
"""

import math
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import torch
from packaging.version import Version
from torch import Tensor

SINCE = "0.19.8"  # of DeepSpeed: the first version with which this was seen to work


class ZeroStep:
    """Ask before each step of a ZeRO optimizer.

    Args:
        engine: DeepSpeed's.
        is_bad: Told the update's loss on this rank, the norm of the gradient over all ranks, and in fp16 how to find
            the scale of its loss; a true answer skips the step.
    """

    def __init__(self, engine: Any, is_bad: Callable[[Tensor, Tensor, Callable[[], float] | None], bool]) -> None:
        self.engine = engine
        self._optimizer = engine.optimizer
        self._is_bad = is_bad
        self._loss: Tensor | None = None
        self._norms: list[Any] = []
        self._was_bad = False
        self._wrap(engine, "backward", self._note_loss)
        norms = "_get_norm_groups" if hasattr(self._optimizer, "_get_norm_groups") else "scaled_global_norm"
        self._wrap(self._optimizer, norms, self._note_norms)
        self._wrap(self._optimizer, "_update_scale", self._decide)

    @staticmethod
    def can_watch(engine: Any) -> bool:
        """Tell whether this knows an engine's optimizer: ZeRO's of stages 1 to 3, but not its `BF16_Optimizer`."""
        is_right = Version(version("deepspeed")) >= Version(SINCE)
        return is_right and all(hasattr(engine.optimizer, name) for name in ("_update_scale", "overflow", "dtype"))

    def end_update(self) -> None:
        """Let the host's schedule go on after a bad update: what the host takes for an overflow it would not count."""
        if self._was_bad:
            self._optimizer.overflow = self._was_bad = False

    def _wrap(self, owner: Any, name: str, ours: Callable[..., Any]) -> None:
        theirs = getattr(owner, name)
        setattr(owner, name, lambda *args, **kwargs: ours(theirs, *args, **kwargs))

    def _note_loss(self, theirs: Callable[..., Any], loss: Tensor, *args: Any, **kwargs: Any) -> Any:
        self._loss = loss.detach() if self._loss is None else self._loss + loss.detach()
        return theirs(loss, *args, **kwargs)

    def _take_loss(self) -> Tensor:
        assert self._loss is not None, "DeepSpeed stepped without a backward pass"
        return self._loss

    def _note_norms(self, theirs: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        found = theirs(*args, **kwargs)
        self._norms = list(found) if isinstance(found, list) else [found]
        return found

    def _decide(self, theirs: Callable[..., Any], overflown: bool = False) -> Any:
        scale = float(self._optimizer.loss_scale)
        updated = theirs(overflown)
        loss, norm = self._take_loss(), self._norm(scale)
        self._loss, self._norms = None, []
        if overflown:
            norm = torch.full_like(norm, math.inf)
        is_fp16 = self._optimizer.dtype is torch.float16
        if self._is_bad(loss, norm, (lambda: scale) if is_fp16 else None):
            self._optimizer.overflow = self._was_bad = True
        return updated

    def _norm(self, scale: float) -> Tensor:
        """Norm of the whole gradient; DeepSpeed gives it by group, with -1 for one that is not finite."""
        norms = torch.stack([torch.as_tensor(norm).float().reshape(()) for norm in self._norms or [0.0]])
        return torch.where((norms < 0).any(), math.inf, torch.linalg.vector_norm(norms) / scale)


class PipelineStep(ZeroStep):
    """The same of a pipeline's engine, whose last stage alone knows the loss of an update."""

    def _take_loss(self) -> Tensor:
        """Return the loss, such that its mean over all ranks is that of the update."""
        engine = self.engine
        if engine.total_loss is None:
            return torch.zeros((), device=engine.device)
        return engine.total_loss.detach() * engine.num_stages / engine.gradient_accumulation_steps()


def watch(engine: Any, is_bad: Callable[[Tensor, Tensor, Callable[[], float] | None], bool]) -> ZeroStep:
    """Ask before each step of an engine, whichever it is."""
    return (PipelineStep if hasattr(engine, "num_stages") else ZeroStep)(engine, is_bad)
