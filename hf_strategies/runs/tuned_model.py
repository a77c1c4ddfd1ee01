"""The model of a fine-tuning run: a checkpoint with the head that its task needs, and which of its weights learn."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from transformers import AutoImageProcessor, PretrainedConfig, PreTrainedModel, TrainingArguments

from hf_strategies.adapters.factory import create_adapter
from hf_strategies.adapters.freezing import freeze, linear_probe
from hf_strategies.adapters.linear_layers import layers_outside_blocks
from hf_strategies.adapters.quantization import BasePlan, quantization_config
from hf_strategies.adapters.reinitialization import reinitialize_top_blocks
from hf_strategies.arguments import Arguments
from hf_strategies.arguments.topics import ModelArguments
from hf_strategies.errors import UserError
from hf_strategies.models import resolve_sizes
from hf_strategies.models.factory import create_config, create_model, load_config, load_with_new_head
from hf_strategies.runs.language_model import given_sizes, load_tokenizer
from hf_strategies.tasks import TASKS
from hf_strategies.tasks.image_classification import ImageShape
from hf_strategies.tasks.task import Task

SHOWN_WEIGHTS = 3


@dataclass
class TunedModel:
    """A model to fine-tune.

    Args:
        model: With its adapter, if it has one.
        notes: What was made anew, frozen or added, for its user.
    """

    model: nn.Module
    notes: list[str] = field(default_factory=list)


def load_processor(arguments: Arguments, task: Task) -> Any:
    """Load what brings rows into the shape that the model takes: its tokenizer, or the shape of its images.

    Raises:
        UserError: There is none.
    """
    if task.head in ("image-classification", "video-classification"):
        return image_shape(arguments)
    tokenizer = load_tokenizer(arguments.model)
    if tokenizer is None:
        raise UserError("model_name_or_path: name a checkpoint to fine-tune; a task of texts needs its tokenizer")
    return tokenizer


def image_shape(arguments: Arguments) -> ImageShape:
    """Say how images come: as the checkpoint had them, or for a model from scratch as they are."""
    model, size = arguments.model, arguments.task.image_size
    if model.model_name_or_path is None:
        return ImageShape(size=size)
    config = checkpoint_config(model, "image-classification")
    size = size or getattr(config, "image_size", None)
    try:
        stored = AutoImageProcessor.from_pretrained(model.model_name_or_path, revision=model.model_revision or "main")
        mean, std = tuple(stored.image_mean), tuple(stored.image_std)
    except (OSError, ValueError, ImportError, AttributeError):  # many checkpoints come without one
        mean, std = (0.5,), (0.5,)
    return ImageShape(size=size, num_channels=getattr(config, "num_channels", 3), mean=mean, std=std)


def checkpoint_config(model: ModelArguments, head: str) -> PretrainedConfig:
    """Load the config of the checkpoint that was named.

    Raises:
        UserError: There is no such checkpoint, or it cannot have this head.
    """
    assert model.model_name_or_path is not None
    return load_config(
        model.model_name_or_path,
        head=head,
        revision=model.model_revision,
        trust_remote_code=model.trust_remote_code,
        overrides=model.config_overrides,
    )


def count_parameters(arguments: Arguments, task: Task) -> int:
    """Count the checkpoint's parameters without loading them; 0 where none is named."""
    if arguments.model.model_name_or_path is None:
        return 0
    with torch.device("meta"):
        return create_model(checkpoint_config(arguments.model, task.head), head=task.head).num_parameters()


def known_classes(arguments: Arguments, task: Task) -> tuple[str, ...]:
    """Return the classes of the checkpoint's own head; none where they have no names, or no checkpoint is named."""
    if arguments.model.model_name_or_path is None:
        return ()
    named = checkpoint_config(arguments.model, task.head).id2label or {}
    classes = tuple(named[number] for number in sorted(named))
    return () if classes == tuple(f"LABEL_{number}" for number in range(len(classes))) else classes


def build_tuned_model(
    arguments: Arguments, args: TrainingArguments, task: Task, processor: Any, rows: Any
) -> TunedModel:
    """Make the model, and settle which of its weights learn.

    Args:
        arguments: What was asked for.
        args: The host's part of it.
        task: Settled.
        processor: As `load_processor` gave it.
        rows: Training rows, whose first one has the shape of all images.

    Raises:
        UserError: Model, task and settings do not fit each other.
    """
    weights = arguments.weights
    if arguments.model.model_name_or_path is None:
        if weights.adapter or weights.quantization or weights.linear_probe or weights.reinitialize_blocks:
            raise UserError("adapter, quantization, linear_probe and reinitialize_blocks need a checkpoint: name one")
        return TunedModel(_from_scratch(arguments, task, rows), ["the model starts from random weights"])
    config = checkpoint_config(arguments.model, task.head)
    for name, value in task.config.items():
        setattr(config, name, value)
    if config.pad_token_id is None and getattr(processor, "pad_token_id", None) is not None:
        config.pad_token_id = processor.pad_token_id
    options: dict[str, Any] = {}
    if weights.quantization is not None:
        if weights.adapter is None:
            raise UserError(
                f"quantization {weights.quantization} freezes the checkpoint: name an adapter to train on it"
            )
        options["quantization_config"] = quantization_config(weights.quantization, _base_plan(args, config, task))
    model, new = load_with_new_head(
        arguments.model.model_name_or_path,
        config,
        head=task.head,
        revision=arguments.model.model_revision,
        trust_remote_code=arguments.model.trust_remote_code,
        attn_implementation=arguments.model.attn_implementation,
        **options,
    )
    notes = [describe_new(new)] if new else []
    if weights.reinitialize_blocks:
        notes += [f"made anew: {name}" for name in reinitialize_top_blocks(model, weights.reinitialize_blocks)]
    if weights.adapter is not None:
        adapted = create_adapter(
            weights.adapter,
            model,
            task_type=TASKS[str(arguments.task.task)].facts["adapters"],
            target_modules=weights.target_modules,
            new_weights=new,
            **(weights.adapter_kwargs or {}),
        )
        return TunedModel(adapted, notes)
    if weights.linear_probe:
        notes.append(f"frozen: all but {', '.join(linear_probe(model))}")
    if weights.freeze:
        notes.append(f"frozen: {len(freeze(model, weights.freeze))} tensors")
    return TunedModel(model, notes)


def describe_new(names: list[str]) -> str:
    """Say which weights the checkpoint did not have."""
    more = f" and {len(names) - SHOWN_WEIGHTS} more" if len(names) > SHOWN_WEIGHTS else ""
    return f"made anew, as the checkpoint has none for this task: {', '.join(names[:SHOWN_WEIGHTS])}{more}"


def _from_scratch(arguments: Arguments, task: Task, rows: Any) -> PreTrainedModel:
    model = arguments.model
    if model.architecture is None or task.head != "image-classification":
        raise UserError("model_name_or_path: name a checkpoint to fine-tune; only images train from scratch here")
    sizes, _ = resolve_sizes(model.architecture, given_sizes(model))
    channels, height, width = rows[0]["image"].shape
    if height != width:
        raise UserError(f"the images are {height} x {width}: set image_size to bring them to squares")
    config = create_config(
        model.architecture, sizes=sizes, overrides=model.config_overrides, image_size=height, num_channels=channels
    )
    for name, value in task.config.items():
        setattr(config, name, value)
    return create_model(config, head=task.head, attn_implementation=model.attn_implementation)


def _base_plan(args: TrainingArguments, config: PretrainedConfig, task: Task) -> BasePlan:
    with torch.device("meta"):
        sketch = create_model(config, head=task.head)
    dtype = torch.bfloat16 if args.bf16 else torch.float16 if args.fp16 else torch.float32
    return BasePlan(device=args.device, compute_dtype=dtype, keep=layers_outside_blocks(sketch))
