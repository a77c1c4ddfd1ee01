"""The model of a run that is planned, and what it is shown: without weights, data or a tokenizer."""

from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from hf_strategies.adapters.factory import create_adapter
from hf_strategies.adapters.linear_layers import LINEAR, layers_outside_blocks
from hf_strategies.arguments.tuning_topics import FINETUNE
from hf_strategies.data.span_corruption import noise_of, tokens_that_fill
from hf_strategies.errors import UserError
from hf_strategies.models.factory import create_model
from hf_strategies.models.heads import HEAD_OF
from hf_strategies.module_tree.blocks import find_blocks
from hf_strategies.planning.memory_request import MemoryRequest
from hf_strategies.planning.step_trace import StepTrace, trace_step
from hf_strategies.runs.language_model import positions_of, resolve_block_size, sketch_model
from hf_strategies.runs.tuned_model import checkpoint_config
from hf_strategies.tasks import TASKS
from hf_strategies.tasks.task import TaskSettings

# Bytes of a weight in a quantized layer, its scales included: a float per row is too little to count.
QUANTIZED_BYTES = {"int8": 1.0, "torchao_int8": 1.0, "nf4": 0.5 + 1 / 64 + 4 / (64 * 256)}
PEFT_TASK = {"causal": "CAUSAL_LM", "seq2seq": "SEQ_2_SEQ_LM"}


@dataclass(frozen=True)
class Blocks:
    """What a model repeats: elements in all of its blocks, and their number."""

    elements: int
    number: int


class PlannedModel:
    """A model that can be made again and again.

    Args:
        request: Whose memory is planned.

    Raises:
        UserError: The settings describe no model, or one whose size nobody knows without its data.
    """

    def __init__(self, request: MemoryRequest) -> None:
        self.request = request
        arguments = request.arguments
        if arguments.job == FINETUNE:
            if arguments.model.model_name_or_path is None:
                raise UserError("model_name_or_path: name the checkpoint whose fine-tuning is planned")
            self.head = TASKS[str(arguments.task.task)].build.head
            self.config = checkpoint_config(arguments.model, self.head)
            wanted = arguments.data.max_seq_length or TaskSettings.max_seq_length
            self.length = min(wanted, positions_of(self.config) or wanted)
        else:
            objective = arguments.strategy.objective
            self.head = HEAD_OF[objective]
            self.length = resolve_block_size(arguments.model, arguments.data.max_seq_length, objective=objective)
            self.config = sketch_model(arguments.model, block_size=self.length, objective=objective).config

    @property
    def ways(self) -> tuple[bool, ...]:
        """Whether activations can be recomputed: False, and True where the model knows how."""
        return (False, True) if getattr(self.sketch(), "supports_gradient_checkpointing", False) else (False,)

    def sketch(self) -> Any:
        """Make the model on the meta device, its adapter on it."""
        with torch.device("meta"):
            return self.build()

    def build(self) -> Any:
        """Make the model on the default device, its adapter on it."""
        arguments = self.request.arguments
        implementation = arguments.model.attn_implementation
        model = create_model(deepcopy(self.config), head=self.head, attn_implementation=implementation)
        if self.request.adapter is None:
            return model
        facts = TASKS[str(arguments.task.task)].facts if arguments.task.task else {}
        task_type = facts.get("adapters", PEFT_TASK.get(self.head))
        return create_adapter(self.request.adapter, model, task_type=task_type, **self.request.adapter_kwargs)

    def inputs(self, rows: int) -> dict[str, torch.Tensor]:
        """Make a batch of `rows` on the default device, as the job's collator would."""
        if self.head in ("image-classification", "video-classification"):
            size = self.request.arguments.task.image_size or self.config.image_size
            shape = (rows, self.config.num_channels, size, size)
            return {"pixel_values": torch.zeros(shape), "labels": torch.zeros(rows, dtype=torch.long)}
        ids = torch.zeros(rows, self.length, dtype=torch.long)
        if self.head == "sequence-classification":
            return {"input_ids": ids, "labels": torch.zeros(rows, dtype=torch.long)}
        if self.head == "seq2seq":
            return {"input_ids": ids, "labels": torch.zeros(rows, self._target_length(), dtype=torch.long)}
        return {"input_ids": ids, "labels": ids.clone()}

    def trace(self, rows: int, *, weights: torch.dtype, autocast: torch.dtype, recompute: bool) -> StepTrace:
        """Go through a step with `rows` rows; the other arguments are those of `trace_step`."""
        inputs = partial(self.inputs, rows)
        return trace_step(self.sketch(), inputs, weights=weights, autocast=autocast, recompute=recompute)

    def quantized_weights(self, model: nn.Module) -> int:
        """Return by how many bytes a model on the meta device is smaller for its quantized base."""
        quantization = self.request.quantization
        if quantization is None:
            return 0
        outside = set(layers_outside_blocks(model))
        bases = [
            module.weight
            for name, module in model.named_modules()
            if isinstance(module, LINEAR) and name not in outside and not module.weight.requires_grad
        ]
        return round(sum(weight.numel() * (weight.element_size() - QUANTIZED_BYTES[quantization]) for weight in bases))

    def _target_length(self) -> int:
        arguments = self.request.arguments
        if arguments.job == FINETUNE:
            return arguments.task.max_target_length
        shape = {"rate": 0.15, "mean_span_length": 3.0, **(arguments.strategy.objective_kwargs or {})}
        noise = noise_of(tokens_that_fill(self.length, **shape), **shape)
        return noise.tokens + noise.spans + 1


def blocks_of(model: nn.Module) -> Blocks:
    """Count what a model repeats; one without blocks has none."""
    try:
        blocks = find_blocks(model, needed_by="a pipeline", instead="")
    except UserError:
        return Blocks(0, 0)
    params = {param for block in blocks for part in block for param in part.parameters()}
    return Blocks(sum(param.numel() for param in params), len(blocks))
