"""An average of the weights, in their place wherever weights are looked at."""

import logging
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, FullyShardedDataParallel
from torch.distributed.tensor import DTensor
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import ExportableState
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from hf_strategies.callbacks.average_settings import check_average_settings
from hf_strategies.callbacks.averages import Average, Moment
from hf_strategies.callbacks.averages_file import averages_file, read_averages, write_averages
from hf_strategies.callbacks.schedule_free import has_modes, innermost
from hf_strategies.callbacks.shelf import AVERAGES
from hf_strategies.callbacks.stored_state import stored_attributes
from hf_strategies.distributed.sharding import local
from hf_strategies.distributed.zero import full_shape, refresh_weights, trained_shares, zero_optimizer
from hf_strategies.errors import UserError
from hf_strategies.module_tree.buffers import saved_buffers
from hf_strategies.module_tree.names import WRAPPERS, named_parameters

MOVED = "a plain Trainer resumes from checkpoints in its own output_dir, StrategyTrainer from any folder"

logger = logging.getLogger(__name__)


class WeightAveragingCallback(TrainerCallback, ExportableState):
    """Keep an average of the weights; evaluations, checkpoints and the trained model have it in their place.

    Averaged is what trains when training begins: of a PEFT model the adapter and the modules saved with it, tied
    weights once. So are floating-point buffers that checkpoints hold: a batch norm's running statistics of one moment
    would not fit the weights of many, and averaging them costs no pass over the data as exact ones do
    (`torch.optim.swa_utils.update_bn`). Until a first value counts, the weights are used as they are. An update that
    the step guard skips counts as one that stands still; one that it takes back is taken out.

    A checkpoint's model is the average, its `averages.safetensors` has what goes on from there: the weights as they
    train, to the bit, and the average as it is kept. StrategyMixin swaps around each evaluation and save, and resumes
    from any folder. In a plain Trainer this stands behind callbacks that ask for evaluations or saves, there is one of
    it, and runs are resumed from checkpoints in their own output_dir. DDP, FSDP2 and ZeRO are fine: each rank averages
    what it has, and shards are resumed by as many ranks.

    Memory: 4 bytes for each averaged weight (k times that for `last_k`), and while the average is in place the weights
    themselves.

    Args:
        average: Name on the shelf of averages.
        device: Where it is kept, such as "cpu"; None keeps it beside the weights.
        settings: The average's own.

    Raises:
        UserError: The name or a setting is unknown or out of range. When training begins: the weights are held by
            FSDP1, by DeepSpeed without ZeRO or on NVMe, the optimizer averages by itself, or a checkpoint does not
            have this average.
    """

    def __init__(self, average: str = "ema", *, device: str | None = None, **settings: Any) -> None:
        check_average_settings(average, settings)
        self.average = average
        self.device = device
        self.settings = settings
        self.rule: Average = AVERAGES[average].build(**settings)
        self.count = 0
        self._averaged: dict[str, Tensor] = {}
        self._copies: dict[str, list[Tensor]] = {}
        self._training: dict[str, Tensor] | None = None  # the weights as they train, while their average is in place
        self._sharded_modules: list[FSDPModule] = []
        self._zero: Any = None  # DeepSpeed's optimizer, where it shards what trains
        self._is_driven = False
        self._checkpoint: Path | None = None

    def state(self) -> dict:
        settings = {"average": self.average, "device": self.device, **self.settings}
        return {"args": settings, "attributes": {"count": self.count}}

    def drive(self, checkpoint: Path | None) -> None:
        """Leave it to the caller, in the next training, when to swap and save; it resumes from `checkpoint`."""
        self._is_driven = True
        self._checkpoint = checkpoint

    def tensors(self) -> Iterator[Tensor]:
        """Yield what the average consists of: the same tensors all through a training."""
        for copies in self._copies.values():
            yield from copies

    def num_bytes(self, model: nn.Module) -> int:
        """Count the bytes that a checkpoint of `model` takes more, over all ranks."""
        copies = self.rule.num_copies
        return sum(
            math.prod(full_shape(item)) * (item.element_size() + copies * max(4, item.element_size()))
            for item in _averaged_tensors(model, zero=None).values()
        )

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Have the average in the weights' place inside, and what was there before back after."""
        was_in_place = self._training is not None
        self.put_in()
        try:
            yield
        finally:
            if not was_in_place:
                self.take_out()

    def put_in(self) -> None:
        """Put the average in the place of the weights, where there is one and it is not there already."""
        if self.count and self._training is None:
            self._training = self._values()
            self._write(self._means())

    def take_out(self) -> None:
        """Put the weights back as they train, to the bit, where their average is in their place."""
        if self._training is not None:
            self._write(self._training.items())
        self._training = None

    def save(self, folder: Path, args: TrainingArguments) -> None:
        """Write what a resumed run needs besides the model into a checkpoint's folder, where there is an average."""
        if self.count and (args.should_save or self._rank(args) is not None):
            stored = self._stored(self._training or self._values())
            write_averages(averages_file(folder, self._rank(args)), self.average, self.count, stored)

    @torch.no_grad()
    def load(self, folder: Path, args: TrainingArguments) -> bool:
        """Take over what `save` wrote, the average being in place then; False where there is nothing.

        Raises:
            UserError: It is of another average or of other weights, or damaged.
        """
        file = averages_file(folder, self._rank(args))
        if not file.is_file():
            self.count = 0
            return False
        self.count, found = read_averages(file, self.average)
        self._training = self._values()
        targets = self._stored(self._training)
        shapes, expected = ({name: value.shape for name, value in side.items()} for side in (found, targets))
        if shapes != expected:
            raise UserError(
                f"{file} is not of this run's weights, settings and ranks: resume with the model, adapter and average "
                "that the checkpoint was trained with"
            )
        for name, target in targets.items():
            target.copy_(found[name])
        self._write(self._means())
        return True

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: nn.Module,
        optimizer: Any = None,
        **kwargs: Any,
    ) -> None:
        self._zero = zero_optimizer(optimizer)
        _check_host(args, model, optimizer, self._zero)
        self._training = None
        self._averaged = _averaged_tensors(model, self._zero)
        self._sharded_modules = [module for module in model.modules() if isinstance(module, FSDPModule)]
        self._copies = {name: self._new_copies(local(tensor)) for name, tensor in self._averaged.items()}
        self.count = 0
        if state.global_step > 0:
            self._resume(args, state)

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.take_out()

    @torch.no_grad()
    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        moment = Moment(state.global_step, state.max_steps, ends_epoch=float(state.epoch).is_integer())
        if self.rule.takes(moment):
            for name, copies in self._copies.items():
                self.rule.add_(copies, local(self._averaged[name]).to(copies[0]), self.count)
            self.count += 1
        if (control.should_save or control.should_evaluate) and not self._is_driven:
            self.put_in()

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if not self._is_driven:
            self.put_in()

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        folder = _own_checkpoint(args, state)
        if not self._is_driven and not args.save_only_model and folder.is_dir():  # of a search's trials it is not
            self.save(folder, args)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self.count < 2:
            logger.warning("training ended with %d values in the average %r", self.count, self.average)
        self._averaged, self._copies, self._training, self._sharded_modules, self._zero = {}, {}, None, [], None
        self._is_driven, self._checkpoint = False, None

    def _resume(self, args: TrainingArguments, state: TrainerState) -> None:
        folder = self._checkpoint or _own_checkpoint(args, state)
        before = {} if self._is_driven else self._values()
        known = stored_attributes(self, state)
        if not self.load(folder, args) and known.get("count"):
            raise UserError(
                f"{averages_file(folder, self._rank(args))} is missing: the checkpoint's model is an average, the "
                f"weights to train on are in that file; {MOVED}"
            )
        if not known:
            logger.warning("averaging begins at step %d: there is none in the checkpoint", state.global_step)
        if before and not any(_are_equal(before, side) for side in (self._values(), self._training or before)):
            raise UserError(f"{folder} is not the checkpoint that is resumed: {MOVED}")

    def _values(self) -> dict[str, Tensor]:
        """Copy the averaged weights as they are now."""
        return {
            name: local(tensor).to(self.device or tensor.device, copy=True) for name, tensor in self._averaged.items()
        }

    def _means(self) -> Iterator[tuple[str, Tensor]]:
        for name, copies in self._copies.items():
            yield name, self.rule.mean(copies, self.count)

    @torch.no_grad()
    def _write(self, values: Iterable[tuple[str, Tensor]]) -> None:
        for module in self._sharded_modules:
            module.reshard()  # what a forward pass without a backward pass has gathered, the next would use again
        for name, value in values:
            local(self._averaged[name]).copy_(value)
        if self._zero is not None:
            refresh_weights(self._zero)

    def _stored(self, training: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return what a file holds, by its names there."""
        copies = {
            f"average.{slot}.{name}": copy
            for name, copies in self._copies.items()
            for slot, copy in enumerate(copies[: self.count])
        }
        return copies | {f"training.{name}": value for name, value in training.items()}

    def _new_copies(self, value: Tensor) -> list[Tensor]:
        dtype = torch.promote_types(value.dtype, torch.float32)
        device = self.device or value.device
        return [torch.zeros_like(value, dtype=dtype, device=device) for _ in range(self.rule.num_copies)]

    def _rank(self, args: TrainingArguments) -> int | None:
        """Return this rank's number where it has shards of its own."""
        has_shards = any(isinstance(item, DTensor) for item in self._averaged.values()) or self._zero is not None
        return args.process_index if has_shards else None


def _averaged_tensors(model: nn.Module, zero: Any) -> dict[str, Tensor]:
    """Return what training changes of a model, by names that do not depend on what it is wrapped in.

    Under ZeRO that is what its optimizer trains: this rank's shares of the weights.
    """
    params = {name: param for name, param in named_parameters(model).items() if param.requires_grad}
    if zero is not None:
        params = {f"share.{number}": share for number, share in enumerate(trained_shares(zero))}
    buffers = {
        WRAPPERS.sub("", name): module._buffers[name_there] for name, module, name_there in saved_buffers(model)
    }
    return params | {name: buffer for name, buffer in buffers.items() if buffer.is_floating_point()}


def _own_checkpoint(args: TrainingArguments, state: TrainerState) -> Path:
    return Path(args.output_dir or ".", f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}")


def _are_equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())


def _check_host(args: TrainingArguments, model: nn.Module, optimizer: Any, zero: Any) -> None:
    if zero is None and (args.deepspeed is not None or getattr(args, "deepspeed_plugin", None) is not None):
        raise UserError("weights cannot be averaged under DeepSpeed without ZeRO: use stage 1, 2 or 3, DDP or FSDP2")
    if zero is not None and not all(share.numel() for share in trained_shares(zero)):
        raise UserError(
            "weights cannot be averaged under ZeRO with an optimizer on NVMe: offload it to the CPU, or not"
        )
    if isinstance(model, FullyShardedDataParallel):
        raise UserError("weights cannot be averaged under FSDP1, which flattens them: use FSDP2 or DDP")
    if has_modes(optimizer):
        raise UserError(
            f"{type(innermost(optimizer)).__name__} averages the weights by itself: leave weight averaging out"
        )
