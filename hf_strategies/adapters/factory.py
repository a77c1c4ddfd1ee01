"""Put a named adapter on a model."""

from collections.abc import Sequence
from typing import Any

from peft import PeftConfig, PeftModel, PeftType, TaskType, get_peft_model
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from hf_strategies.adapters.linear_layers import linear_layers
from hf_strategies.adapters.padding import reads_padding
from hf_strategies.adapters.placement import Placement
from hf_strategies.adapters.quantization import prepare_quantized, quantization_of
from hf_strategies.adapters.settings import check_adapter_settings
from hf_strategies.adapters.shelf import ADAPTERS
from hf_strategies.adapters.targets import find_targets, shortest_ends
from hf_strategies.distributed.sharding import is_sharded
from hf_strategies.errors import UserError, did_you_mean, first_line
from hf_strategies.module_tree.heads import head_names


def create_adapter(
    name: str,
    model: PreTrainedModel,
    *,
    task_type: str | None,
    target_modules: str | Sequence[str] | None = None,
    new_weights: Sequence[str] = (),
    **settings: Any,
) -> PeftModel:
    """Freeze a model and put the adapter called `name` on it; what is saved loads with plain peft.

    The model's head, where it has one besides a language model's, is trained and saved whole, and so is every module
    with weights that no checkpoint gave. A quantized base is prepared for training.

    Args:
        name: Name on the shelf.
        model: The base; it is changed in place.
        task_type: peft's name of the task: CAUSAL_LM, SEQ_2_SEQ_LM, SEQ_CLS, TOKEN_CLS, ...; None for images.
        target_modules: What to adapt, as for `find_targets`; None for every linear layer of the blocks, or for what
            ia3's paper adapts.
        new_weights: Names of parameters that were initialised anew, such as `missing_keys` of the loading.
        settings: The adapter's own.

    Raises:
        UserError: The name or a setting is unknown, nothing matches `target_modules`, or the adapter does not fit the
            model or the task.
    """
    check_adapter_settings(name, settings)
    if isinstance(model, PeftModel):
        raise UserError(f"adapter {name!r} needs a bare model, got one with an adapter: merge that first")
    facts = ADAPTERS[name].facts
    _check_task(name, task_type, facts.get("tasks"))
    heads = _trained_whole(model, new_weights)
    if facts["adapts"] == "input":
        if target_modules is not None:
            raise UserError(f"adapter {name!r} adapts the input and takes no target_modules, got {target_modules!r}")
        place = Placement(task_type=task_type, heads=heads)
    else:
        targets, inner = _targets(model, target_modules, heads, by_activation=facts["adapts"] == "activations")
        place = _place(model, task_type, targets, inner, heads)
    quantization = quantization_of(model)
    if quantization in facts.get("unfit_bases", ()):
        raise UserError(f"adapter {name!r} does not work on a base in {quantization}: take lora, or another base")
    if quantization is not None:
        prepare_quantized(model)
    if not facts.get("recomputes", True):
        model.supports_gradient_checkpointing = False  # the host then refuses it, where it would train nothing
    config = ADAPTERS[name].build(place, **settings)
    _check_room(name, config, model)
    if config.peft_type == PeftType.PROMPT_TUNING and task_type == TaskType.SEQ_CLS and not is_sharded(model):
        _check_padding(name, model)
    try:
        return get_peft_model(model, config)
    except (KeyError, TypeError, ValueError) as error:  # peft's ways to say that it does not know the architecture
        raise UserError(
            f"adapter {name!r} does not fit {type(model).__name__}: {first_line(error)}; try lora"
        ) from error


def _check_task(name: str, task_type: str | None, tasks: Sequence[str] | None) -> None:
    known = [task.value for task in TaskType]
    if task_type is not None and task_type not in known:
        raise UserError(f"unknown task_type {task_type!r}{did_you_mean(task_type, known)} (known: {', '.join(known)})")
    if tasks is not None and task_type not in tasks:
        raise UserError(f"adapter {name!r} needs a task among {', '.join(tasks)}, got {task_type}; lora fits any")


def _check_room(name: str, config: PeftConfig, model: PreTrainedModel) -> None:
    """Refuse more tokens before the input than the model has positions for."""
    positions = getattr(model.config, "max_position_embeddings", None)
    if config.is_prompt_learning and positions is not None and config.num_virtual_tokens >= positions:
        raise UserError(
            f"num_virtual_tokens of adapter {name!r} must be below the model's {positions} positions, got "
            f"{config.num_virtual_tokens}"
        )


def _check_padding(name: str, model: PreTrainedModel) -> None:
    """Refuse to show embeddings, as prompt tuning does, to a classifier that would score a row at its padding."""
    if reads_padding(model):
        raise UserError(
            f"adapter {name!r} does not fit {type(model).__name__}, which would score rows at their padding: take "
            "prefix_tuning or lora"
        )


def _trained_whole(model: PreTrainedModel, new_weights: Sequence[str]) -> list[str]:
    """Name the head's modules, and those of new weights elsewhere.

    Raises:
        UserError: One is quantized; or a new weight belongs to no module but the model.
    """
    heads = head_names(model)
    parameters = dict(model.named_parameters())  # of tied weights one name; a buffer is not trained
    for weight in new_weights:
        module = weight.rpartition(".")[0]
        if weight in parameters and not module:
            raise UserError(f"new weight {weight!r} stands in no module, and cannot be trained beside an adapter")
        if weight in parameters and not any(f"{module}.".startswith(f"{head}.") for head in heads):
            heads.append(module)
    for head in heads:
        if not all(param.is_floating_point() for param in model.get_submodule(head).parameters()):
            raise UserError(f"{head} is to be trained, but quantized: leave it out of the quantization")
    return heads


def _targets(
    model: PreTrainedModel, wanted: str | Sequence[str] | None, heads: Sequence[str], *, by_activation: bool
) -> tuple[list[str], list[str]]:
    """Name the layers to adapt, and those of them whose input is scaled in the place of their output."""
    if not by_activation:
        return find_targets(model, wanted, excluded=heads), []
    layers = linear_layers(model)
    if wanted is not None:
        targets = find_targets(model, wanted, excluded=heads)
    elif layers.into_attention:
        targets = [*layers.into_attention, *layers.feed_forward_end]
    else:
        raise UserError(f"ia3 scales attention, and {type(model).__name__} has none: name target_modules")
    return targets, [name for name in targets if name in layers.feed_forward_end]


def _place(
    model: PreTrainedModel, task_type: str | None, targets: Sequence[str], inner: Sequence[str], heads: list[str]
) -> Placement:
    modules = dict(model.named_modules())
    inner_ends = shortest_ends(inner, modules.keys() - set(inner))
    outer_ends = shortest_ends([name for name in targets if name not in inner], modules.keys() - set(targets))
    return Placement(
        task_type=task_type,
        targets=sorted({*outer_ends, *inner_ends}),
        feed_forward=inner_ends,
        heads=heads,
        transposed=any(isinstance(modules[name], Conv1D) for name in targets),
    )
