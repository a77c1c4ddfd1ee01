"""The model of a fine-tuning run: a checkpoint with the head that its task needs, and which of its weights learn."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import torch
import transformers
from torch import nn
from transformers import (
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    TrainingArguments,
)

from hf_strategies.adapters import ADAPTERS
from hf_strategies.adapters.factory import create_adapter
from hf_strategies.adapters.freezing import freeze, linear_probe
from hf_strategies.adapters.linear_layers import layers_outside_blocks
from hf_strategies.adapters.placement import Placement
from hf_strategies.adapters.quantization import BasePlan, quantization_config
from hf_strategies.adapters.reinitialization import reinitialize_head, reinitialize_top_blocks
from hf_strategies.arguments import Arguments
from hf_strategies.arguments.topics import ModelArguments
from hf_strategies.arguments.tuning_topics import WeightArguments
from hf_strategies.errors import UserError
from hf_strategies.models.factory import create_model, load_config, load_with_new_head
from hf_strategies.module_tree.heads import head_names
from hf_strategies.runs.fresh_model import fresh_config
from hf_strategies.runs.language_model import (
    check_positions,
    check_vocabulary,
    load_tokenizer,
    positions_of,
    special_tokens,
)
from hf_strategies.runs.tuned_pictures import check_pictures, describe_pictures, image_shape
from hf_strategies.runs.tuned_stages import stage_to_load
from hf_strategies.tasks import TASKS
from hf_strategies.tasks.labels import REGRESSION
from hf_strategies.tasks.task import Task, TaskSettings

SHOWN_WEIGHTS = 3
SHOWN_CLASSES = 5


@dataclass
class TunedModel:
    """A model to fine-tune.

    Args:
        model: With its adapter, if it has one.
        notes: What was made anew, frozen or added, for its user.
    """

    model: nn.Module
    notes: list[str] = field(default_factory=list)


def load_processor(arguments: Arguments, task: Task, config: PretrainedConfig | None) -> Any:
    """Load what brings rows into the shape that the model takes: its tokenizer, or the shape of its images.

    None where a tokenizer is to be trained on the rows, for a model that starts from random weights.

    Args:
        arguments: What was asked for.
        task: Not settled yet.
        config: Of the checkpoint; None where none is named.

    Raises:
        UserError: There is none.
    """
    if task.head in ("image-classification", "video-classification"):
        return image_shape(arguments, config)
    tokenizer = load_tokenizer(arguments.model)
    if tokenizer is None:
        if arguments.model.architecture is not None:
            return None
        raise UserError("model_name_or_path: name a checkpoint to fine-tune, or an architecture to train from scratch")
    if tokenizer.pad_token_id is None:
        raise UserError(
            f"the tokenizer of {tokenizer.name_or_path} has no token that could pad rows, nor one that ends"
        )
    return tokenizer


def sequence_length(arguments: Arguments, config: PretrainedConfig, tokenizer: Any) -> int:
    """Settle how many tokens of a row a model is shown: as many as were asked for, and as it has positions for.

    Raises:
        UserError: Its user asked for more than it has.
    """
    wanted = arguments.data.max_seq_length or TaskSettings.max_seq_length
    positions = positions_of(config)
    if positions is None:
        return wanted
    longest = min(positions, tokenizer.model_max_length)  # RoBERTa has two positions more than it can use
    taken = tokens_before_input(arguments.weights)
    given = arguments.values.get("max_seq_length")
    if given is not None and given.value is not None and not given.from_recipe:
        beside = f" beside the {taken} tokens of {arguments.weights.adapter}" if taken else ""
        check_positions(longest - taken, wanted, f"{arguments.model.model_name_or_path}{beside}")
    return max(min(wanted, longest - taken), 1)  # an adapter that leaves none is refused when it is built


def tokens_before_input(weights: WeightArguments) -> int:
    """Count the tokens that the adapter puts before each row, which take positions too."""
    if weights.adapter is None or ADAPTERS[weights.adapter].facts["adapts"] != "input":
        return 0
    return ADAPTERS[weights.adapter].build(Placement(), **(weights.adapter_kwargs or {})).num_virtual_tokens


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


def known_classes(config: PretrainedConfig | None) -> tuple[str, ...]:
    """Return the classes of a checkpoint's own head, by their numbers where they have no names; else none."""
    named = (config and config.id2label) or {}
    classes = tuple(named[number] for number in sorted(named))
    if classes == tuple(f"LABEL_{number}" for number in range(len(classes))):
        return tuple(map(str, range(len(classes))))
    return classes


def build_tuned_model(
    arguments: Arguments, args: TrainingArguments, task: Task, processor: Any, rows: Any, own: PretrainedConfig | None
) -> TunedModel:
    """Make the model, and settle which of its weights learn.

    Args:
        arguments: What was asked for.
        args: The host's part of it.
        task: Settled.
        processor: As `load_processor` gave it.
        rows: Training rows, whose first one has the shape of all images.
        own: The checkpoint's config; None where none is named.

    Raises:
        UserError: Model, task and settings do not fit each other.
    """
    weights = arguments.weights
    if own is None or arguments.model.model_name_or_path is None:
        return TunedModel(_from_scratch(arguments, task, processor, rows), ["the model starts from random weights"])
    config = deepcopy(own)
    for name, value in task.config.items():
        setattr(config, name, value)
    made_for = (config.architectures or [""])[0]
    notes = pad(config, processor)
    options: dict[str, Any] = {"place": stage_to_load(weights, args)}
    if weights.quantization is not None:
        if weights.adapter is None:
            raise UserError(
                f"quantization {weights.quantization} freezes the checkpoint: name an adapter to train on it"
            )
        options["quantization_config"] = quantization_config(weights.quantization, _base_plan(args, config, task))
    with no_loading_report():
        model, new = load_with_new_head(
            arguments.model.model_name_or_path,
            config,
            head=task.head,
            revision=arguments.model.model_revision,
            trust_remote_code=arguments.model.trust_remote_code,
            attn_implementation=arguments.model.attn_implementation,
            **options,
        )
    if isinstance(processor, PreTrainedTokenizerBase):
        check_vocabulary(model, processor, arguments.model.model_name_or_path)
    else:
        if weights.quantization is None:
            check_pictures(model, rows[0], arguments.model.model_name_or_path)
        notes += describe_pictures(rows[0])
    notes += [describe_new(new)] if new else []
    if not any(name.startswith(f"{head}.") for name in new for head in head_names(model)):
        notes += renew_head(model, task, known_classes(own), made_for)
    if weights.reinitialize_blocks:
        drawn = reinitialize_top_blocks(model, weights.reinitialize_blocks)
        notes += [f"made anew: {name}" for name in drawn]
        parts = tuple(f"{name}." for name in drawn)
        new = [*new, *(name for name, _ in model.named_parameters() if name.startswith(parts))]
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
        notes.append(f"frozen: all but {', '.join(linear_probe(model, new))}")
    if weights.freeze:
        notes.append(f"frozen: {len(freeze(model, weights.freeze))} tensors")
    return TunedModel(model, notes)


def pad(config: PretrainedConfig, processor: Any) -> list[str]:
    """Let a model know its tokenizer's padding, and say so where it is none of its own."""
    if not isinstance(processor, PreTrainedTokenizerBase) or config.pad_token_id is not None:
        return []
    config.pad_token_id = processor.pad_token_id
    if processor.pad_token_id != processor.eos_token_id:
        return []
    return [f"the checkpoint has no padding token: {processor.pad_token!r}, which ends its texts, pads rows too"]


def renew_head(model: PreTrainedModel, task: Task, known: Sequence[str], made_for: str) -> list[str]:
    """Draw a head anew that has the right size, but was trained for something else.

    Args:
        model: As it was loaded.
        task: Settled.
        known: Classes of the checkpoint's head.
        made_for: Class of the model that the checkpoint was saved from; empty where nobody knows.

    Returns:
        What its user should know.
    """
    classes = task.config.get("id2label")
    if classes is None:
        return []
    if made_for and made_for != type(model).__name__:
        other = f"of {made_for}"
    elif task.config.get("problem_type") != REGRESSION and set(classes.values()) != set(known):
        other = (
            f"for other classes ({', '.join(known[:SHOWN_CLASSES])}{', ...' if len(known) > SHOWN_CLASSES else ''})"
        )
    else:
        return []
    return [f"made anew, as the checkpoint's is {other}: {', '.join(reinitialize_head(model))}"]


@contextmanager
def no_loading_report() -> Iterator[None]:
    """Keep the host from listing what a checkpoint lacks: a note says it, and what becomes of it."""
    verbosity = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers.logging.set_verbosity(verbosity)


def describe_new(names: list[str]) -> str:
    """Say which weights the checkpoint did not have."""
    more = f" and {len(names) - SHOWN_WEIGHTS} more" if len(names) > SHOWN_WEIGHTS else ""
    return f"made anew, as the checkpoint has none that fits this task: {', '.join(names[:SHOWN_WEIGHTS])}{more}"


def _from_scratch(arguments: Arguments, task: Task, processor: Any, rows: Any) -> PreTrainedModel:
    model, tokens = arguments.model, None
    if model.architecture is None:
        raise UserError("model_name_or_path: name a checkpoint to fine-tune, or an architecture to train from scratch")
    if task.head == "image-classification":
        channels, height, width = rows[0]["image"].shape
        if height != width:
            raise UserError(f"the images are {height} x {width}: set image_size to bring them to squares")
        inputs = {"image_size": height, "num_channels": channels}
    elif task.head == "video-classification":
        channels, _, height, width = rows[0]["clip"].shape
        inputs = {"image_size": min(height, width), "num_channels": channels}
    else:
        length = arguments.data.max_seq_length or TaskSettings.max_seq_length
        inputs, tokens = {"vocab_size": len(processor), "max_seq_length": length}, special_tokens(processor)
    config = fresh_config(model, head=task.head, tokens=tokens, **inputs)
    for name, value in task.config.items():
        setattr(config, name, value)
    return create_model(config, head=task.head, attn_implementation=model.attn_implementation)


def _base_plan(args: TrainingArguments, config: PretrainedConfig, task: Task) -> BasePlan:
    with torch.device("meta"):
        sketch = create_model(config, head=task.head)
    dtype = torch.bfloat16 if args.bf16 else torch.float16 if args.fp16 else torch.float32
    return BasePlan(device=args.device, compute_dtype=dtype, keep=layers_outside_blocks(sketch))
