"""States of a run that are kept in memory, to go back to without a disk.

A snapshot is of this rank's share: whole tensors, FSDP2's local shards, ZeRO's partitions. It goes back by copying
into the tensors that are there, so that whatever else points at them (DDP's buckets, ZeRO's flat buffers, tied
weights) stays right. On an accelerator it is copied to pinned memory in the stream's order: nothing waits for it.
"""

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from transformers import TrainerCallback, TrainerControl
from transformers.trainer_callback import ExportableState

from hf_strategies.callbacks.weight_averaging import WeightAveragingCallback
from hf_strategies.distributed.sharding import local
from hf_strategies.distributed.zero import trained_shares
from hf_strategies.training.random_streams import RandomStreams

HEALTHY_AFTER = 4  # good updates that prove a state: weights that are already lost show it within a few
SCHEDULED = {"params", "lr", "initial_lr"}  # what schedules set anew in each update stays where they are


class Live:
    """The tensors and values that make up the state of a run on this rank.

    Args:
        model: As the host trains it; its wrappers do not matter.
        optimizer: As the host calls it, wrapped or not.
        callbacks: Of the run; those that can export their state have it kept.
        device: Whose random stream is kept besides the CPU's.
    """

    def __init__(
        self, model: nn.Module, optimizer: Any, callbacks: list[TrainerCallback], device: torch.device
    ) -> None:
        self.model = model
        self.wrappers, self.optimizer = unwrap(optimizer)
        self.callbacks = [item for item in callbacks if keeps_state(item)]
        self.averagings = [item for item in callbacks if isinstance(item, WeightAveragingCallback)]
        self.device = device

    def weights(self) -> Iterator[Tensor]:
        """Yield what holds this rank's weights, and their averages, in an order that stays."""
        for tensor in (*self.model.parameters(), *self.model.buffers()):
            # Of ZeRO-3's parameters a skipped step leaves only each rank's share; the next forward pass gathers them.
            yield tensor.ds_tensor.detach() if hasattr(tensor, "ds_tensor") else local(tensor)
        for wrapper in self.wrappers:
            yield from trained_shares(wrapper)
        for averaging in self.averagings:
            yield from averaging.tensors()

    def num_bytes(self) -> int:
        """Bytes of weights and optimizer state on this rank."""
        tensors = [*self.weights(), *(local(value) for value in self._optimizer_tensors())]
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    def _optimizer_tensors(self) -> Iterator[Tensor]:
        for state in self.optimizer.state.values():
            yield from (value for value in state.values() if isinstance(value, Tensor))


class Snapshot:
    """A copy of a run's state.

    Args:
        live: What is copied.
        step: Updates done.
        random: The random streams at that time.
        reuse: A snapshot that is no longer needed, whose memory is taken over.
    """

    @torch.no_grad()
    def __init__(self, live: Live, step: int, random: RandomStreams, reuse: "Snapshot | None" = None) -> None:
        self.step = step
        self.random = random
        self.num_good_since = 0
        pool = _Pool(reuse)
        self._weights = [pool.copy(tensor) for tensor in live.weights()]
        self._state = {
            param: {name: pool.keep(value) for name, value in state.items()}
            for param, state in live.optimizer.state.items()
        }
        self._groups = [
            {name: copy.deepcopy(value) for name, value in group.items() if name not in SCHEDULED}
            for group in live.optimizer.param_groups
        ]
        self._callbacks = [copy.deepcopy(item.state()["attributes"]) for item in live.callbacks]

    @property
    def is_healthy(self) -> bool:
        return self.num_good_since >= HEALTHY_AFTER

    @torch.no_grad()
    def restore(self, live: Live) -> None:
        """Put everything back, rates aside: those belong to the schedule."""
        for tensor, saved in zip(live.weights(), self._weights, strict=True):
            tensor.copy_(saved)
        for param in [param for param in live.optimizer.state if param not in self._state]:
            del live.optimizer.state[param]
        for param, saved_state in self._state.items():
            state = live.optimizer.state[param]
            for name in [name for name in state if name not in saved_state]:
                del state[name]
            for name, saved in saved_state.items():
                if isinstance(saved, Tensor) and isinstance(state.get(name), Tensor):
                    local(state[name]).copy_(saved)
                else:
                    state[name] = copy.deepcopy(saved)
        for group, values in zip(live.optimizer.param_groups, self._groups):
            for name in group.keys() - values.keys() - SCHEDULED:  # some count their steps there, from the first on
                del group[name]
            group.update(copy.deepcopy(values))
        for callback, attributes in zip(live.callbacks, self._callbacks):
            vars(callback).update(copy.deepcopy(attributes))
        self.random.restore()

    def tensors(self) -> Iterator[Tensor]:
        """Yield what this snapshot's memory consists of."""
        yield from self._weights
        for state in self._state.values():
            yield from (value for value in state.values() if isinstance(value, Tensor))


class _Pool:
    """Memory for copies: what another snapshot leaves, else new."""

    def __init__(self, reuse: Snapshot | None) -> None:
        self._spare: dict[tuple[torch.Size, torch.dtype], list[Tensor]] = {}
        for tensor in () if reuse is None else reuse.tensors():
            self._spare.setdefault((tensor.shape, tensor.dtype), []).append(tensor)

    def copy(self, tensor: Tensor) -> Tensor:
        spare = self._spare.get((tensor.shape, tensor.dtype))
        pinned = tensor.device.type == "cuda"
        target = spare.pop() if spare else torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=pinned)
        return target.copy_(tensor, non_blocking=pinned)

    def keep(self, value: Any) -> Any:
        return self.copy(local(value)) if isinstance(value, Tensor) else copy.deepcopy(value)


class Memory:
    """The last two snapshots: a new one has to prove itself before the one before it is given up."""

    def __init__(self) -> None:
        self._kept: list[Snapshot] = []

    @property
    def is_empty(self) -> bool:
        return not self._kept

    def take(self, live: Live, step: int, random: RandomStreams, *, is_proven: bool = False) -> None:
        """Snapshot a run's state in the place of the older of two, unless the newer has still to prove itself."""
        if len(self._kept) == 2 and not self._kept[-1].is_healthy:
            return
        spare = self._kept.pop(0) if len(self._kept) == 2 else None
        self._kept.append(Snapshot(live, step, random, spare))
        if is_proven:
            self._kept[-1].num_good_since = HEALTHY_AFTER

    def judge(self, *, is_good: bool) -> None:
        """Count a good update for the snapshots before it; a bad one begins the count of the unproven anew."""
        for snapshot in self._kept:
            if is_good:
                snapshot.num_good_since += 1
            elif not snapshot.is_healthy:
                snapshot.num_good_since = 0

    def newest_healthy(self, *, before: int) -> Snapshot | None:
        """Return the newest proven snapshot of those before a step."""
        proven = [item for item in self._kept if item.is_healthy and item.step < before]
        return proven[-1] if proven else None

    def forget_after(self, step: int) -> None:
        """Drop what a return to `step` has made worthless."""
        self._kept = [item for item in self._kept if item.step <= step]


def unwrap(optimizer: Any) -> tuple[list[Any], Optimizer]:
    """Return the wrappers of an optimizer (accelerate's, DeepSpeed's), and the one of torch inside them."""
    wrappers = []
    while hasattr(optimizer, "optimizer"):
        wrappers.append(optimizer)
        optimizer = optimizer.optimizer
    return wrappers, optimizer


def keeps_state(callback: TrainerCallback) -> bool:
    """Tell whether a callback has a state that a checkpoint keeps; what the host is told to do next is none."""
    return isinstance(callback, ExportableState) and not isinstance(callback, TrainerControl)
