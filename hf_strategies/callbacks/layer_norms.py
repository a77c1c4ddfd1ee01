"""Norms of parameters, gradients and updates, layer by layer, in the training log."""

import re
from collections import defaultdict
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.distributed.tensor import DTensor
from transformers import IntervalStrategy, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from hf_strategies.errors import UserError

BLOCK = re.compile(r"^(.*?\.\d+)\.")  # up to a block's number; wrappers and the body's name stand before it
WRAPPERS = re.compile(r"\b(module|_fsdp_wrapped_module|_orig_mod)\.")
Norms = dict[str, Tensor]


class LayerNormsCallback(TrainerCallback):
    """Add `parameter_norm/<layer>`, `gradient_norm/<layer>` and `update_norm/<layer>` to the training log.

    A layer is a numbered block; what stands outside of them (embeddings, head, last norm) goes by its module's name.
    They are of the one update that a log ends with: only then anything is computed, and for its duration a copy of
    the weights is kept; a log at an epoch's end has none, since nobody knows which update that will be. The gradient
    is that which the optimizer sees, after clipping. StrategyTrainer sends them to every reporter; under a plain
    Trainer they are in `state.log_history` only. Works on whole weights, DDP and FSDP2.

    Raises:
        UserError: When training begins: DeepSpeed has stepped, and dropped its gradients, before it lets anyone look;
            FSDP1 has flattened them.
    """

    def __init__(self) -> None:
        self._norms: dict[str, Norms] = {}
        self._weights: list[Tensor] = []

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: nn.Module, **kwargs: Any
    ) -> None:
        if args.deepspeed is not None or getattr(args, "deepspeed_plugin", None) is not None:
            raise UserError("layer norms cannot be seen under DeepSpeed: leave LayerNormsCallback out")
        if isinstance(model, FullyShardedDataParallel):
            raise UserError("layer norms cannot be seen under FSDP1: use FSDP2, or leave LayerNormsCallback out")

    @torch.no_grad()
    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: nn.Module, **kwargs: Any
    ) -> None:
        self._norms, self._weights = {}, []
        if not _logs_next(args, state):
            return
        params = [(name, param) for name, param in model.named_parameters() if param.requires_grad]
        self._norms = {
            "parameter": _by_layer((name, param) for name, param in params),
            "gradient": _by_layer((name, param.grad) for name, param in params if param.grad is not None),
        }
        self._weights = [param.detach().clone() for _, param in params]

    @torch.no_grad()
    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: nn.Module, **kwargs: Any
    ) -> None:
        if self._weights:
            params = [(name, param) for name, param in model.named_parameters() if param.requires_grad]
            moved = ((name, param - before) for (name, param), before in zip(params, self._weights, strict=True))
            self._norms["update"] = _by_layer(moved)
            self._weights = []

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        if logs and "loss" in logs:
            state.log_history[-1].update(self.metrics())  # none where StrategyTrainer has asked for them

    def metrics(self) -> dict[str, float]:
        """Return the norms of the update that this log ends with."""
        norms, self._norms = self._norms, {}
        return {
            f"{kind}_norm/{layer}": norm.item() for kind, layers in norms.items() for layer, norm in layers.items()
        }

    def summary(self) -> dict[str, float]:
        """Return nothing: norms have no mean over a run."""
        return {}


def layer_of(name: str) -> str:
    """Name the layer of a parameter: its numbered block, or else its module."""
    name = WRAPPERS.sub("", name)
    block = BLOCK.match(name)
    return block[1] if block else name.rpartition(".")[0] or name


def _by_layer(tensors: Any) -> Norms:
    """Take the norm of each layer's tensors together; over all ranks, where they are sharded."""
    found: dict[str, list[Tensor]] = defaultdict(list)
    for name, tensor in tensors:
        norm = torch.linalg.vector_norm(tensor, dtype=torch.float32)
        found[layer_of(name)].append(norm.full_tensor() if isinstance(norm, DTensor) else norm)
    return {layer: torch.linalg.vector_norm(torch.stack(norms)) for layer, norms in found.items()}


def _logs_next(args: TrainingArguments, state: TrainerState) -> bool:
    step = state.global_step + 1
    by_steps = args.logging_strategy == IntervalStrategy.STEPS and state.logging_steps > 0
    return (step == 1 and args.logging_first_step) or (by_steps and step % state.logging_steps == 0)
