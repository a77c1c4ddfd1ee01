"""How layers combine: the highest one that sets a name wins, and a choice takes its own settings with it."""

from collections.abc import Container
from dataclasses import dataclass
from typing import Any

from hf_strategies.arguments.layers import SHIPPED, Layer, unknown_setting
from hf_strategies.arguments.settings import Setting, convert
from hf_strategies.optimizers import OPTIMIZERS
from hf_strategies.schedulers import SCHEDULERS

PROPORTIONS = (
    "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "intermediate_size",
)  # fmt: skip
SIZES = (*PROPORTIONS, "patch_size")
OF_ARCHITECTURE = (*SIZES, "size", "parameters", "scale_to", "architecture_kwargs", "config_overrides")

# Settings that mean something only beside the choice that they belong to.
OWNED = {
    "optimizer": ("optimizer_kwargs",),
    "optim": ("optim_args", "optim_target_modules", "adam_beta1", "adam_beta2", "adam_epsilon"),
    "scheduler": ("scheduler_kwargs",),
    "lr_scheduler_type": ("lr_scheduler_kwargs",),
    "architecture": OF_ARCHITECTURE,
    "objective": ("objective_kwargs",),
    "model_name_or_path": ("model_revision", "config_overrides"),
    "tokenizer": ("vocab_size",),
    "dataset_name": ("dataset_config_name",),
    "adapter": ("adapter_kwargs", "target_modules"),
    "loss": ("loss_kwargs",),
    "averaging": ("averaging_kwargs",),
}

# Settings that go when their choice is replaced by a rival, and stay when it only takes another value.
BESIDE = {"train_file": ("validation_file", "validation_records"), "optimizer": ("param_groups",)}

# Settings that stand for others, and take the places of those that lower layers gave one by one.
IN_PLACE_OF = {"size": PROPORTIONS, "parameters": PROPORTIONS}

# Mappings of which a higher layer's takes the place of a lower one's: their keys come from the data.
WHOLE = ("label_words", "mixture")

# The same table read the other way: what each of those settings belongs to.
BELONGS_TO = {
    name: tuple(choice for choice, owned in OWNED.items() if name in owned)
    for name in dict.fromkeys(name for owned in OWNED.values() for name in owned)
}

# Choices of the host, and those of ours that a name may have been meant for.
ON_A_SHELF: dict[str, tuple[str, Container]] = {
    "optim": ("optimizer", OPTIMIZERS),
    "lr_scheduler_type": ("scheduler", SCHEDULERS),
}

# Choices of which a run can have only one: (the choice, the others that it replaces in lower layers).
RIVALS = (
    ("optimizer", "optim"),
    ("scheduler", "lr_scheduler_type"),
    ("architecture", "model_name_or_path"),
    ("size", "parameters"),
    ("parameters", "hidden_size"),
    ("parameters", "num_hidden_layers"),
    ("tokenizer", "tokenizer_name"),
    ("tokenizer", "model_name_or_path"),
    ("train_file", "dataset_name"),
    ("mixture", "train_file"),
    ("mixture", "dataset_name"),
    ("global_batch_size", "gradient_accumulation_steps"),
    ("max_steps", "num_train_epochs"),
    ("bf16", "fp16"),
    ("clip_grad_value", "max_grad_norm"),
    ("adaptive_clipping", "max_grad_norm"),
    ("clip_grad_value", "adaptive_clipping"),
    ("validation_file", "validation_share"),
    ("validation_file", "validation_records"),
    ("validation_records", "validation_share"),
)


@dataclass(frozen=True)
class Value:
    """A setting's final value and the place that set it."""

    value: Any
    where: str

    @property
    def from_recipe(self) -> bool:
        """Whether a shipped recipe set it, and not its user."""
        return self.where.startswith(SHIPPED)


def merge(
    layers: list[Layer], settings: dict[str, Setting], problems: list[str]
) -> tuple[dict[str, Value], list[str]]:
    """Combine `layers`, lowest first.

    Args:
        layers: Recipe, YAML, flags.
        settings: Every known setting by name.
        problems: Receives one line per value that is unknown or of a wrong type.

    Returns:
        The values that some layer set, and one line about each that was dropped with the choice it belonged to.
    """
    merged: dict[str, Value] = {}
    notes: list[str] = []
    rates_optimizer: Value | None = None  # that the learning rate was chosen beside
    for layer in layers:
        values = _converted(layer, settings, problems)
        chosen = [name for name, item in values.items() if _is_choice(name, item.value)]
        for first, second in RIVALS:
            if first in chosen and second in chosen:
                problems.append(f"{values[first].where}: {first} and {second} cannot both be given; choose one")
        for name in chosen:
            because = f"{name} ({values[name].where})"
            _drop(merged, IN_PLACE_OF.get(name, ()), because, notes)
            for rival in [a if b == name else b for a, b in RIVALS if name in (a, b)]:
                if rival in merged and _is_choice(rival, merged[rival].value):
                    _drop(merged, (rival, *OWNED.get(rival, ()), *BESIDE.get(rival, ())), because, notes)
        for choice, owned in OWNED.items():
            if choice in values and choice in merged and values[choice].value != merged[choice].value:
                _drop(merged, owned, f"{choice} {values[choice].value} ({values[choice].where})", notes)
        scheduler = values.get("scheduler")
        if scheduler is not None and _takes_no_warmup(scheduler.value):
            _drop(merged, ("warmup_steps",), f"scheduler {scheduler.value} ({scheduler.where})", notes)
        for name, item in values.items():
            below = merged.get(name)
            adds_up = below is not None and isinstance(below.value, dict) and name not in WHOLE
            if below is not None and adds_up and isinstance(item.value, dict):
                item = Value({**below.value, **item.value}, item.where)  # the same choice: its settings add up
            merged[name] = item
        if "learning_rate" in values:
            rates_optimizer = _optimizer(merged)
    rate, now = merged.get("learning_rate"), _optimizer(merged)
    if rate is not None and now is not None and rates_optimizer is not None and now.value != rates_optimizer.value:
        chosen_for = f"{rate.value} ({rate.where}) was chosen for {rates_optimizer.value}"
        notes.append(f"learning_rate {chosen_for}: {now.value} ({now.where}) may want another")
    return merged, notes


def is_replaced(name: str, default: Any, values: dict[str, Value]) -> bool:
    """Tell whether the default of a setting that nobody gave has lost its place to a rival that somebody did."""
    rivals = [first if second == name else second for first, second in RIVALS if name in (first, second)]
    given = [rival for rival in rivals if rival in values and _is_choice(rival, values[rival].value)]
    return name not in values and _is_choice(name, default) and bool(given)


def _is_choice(name: str, value: Any) -> bool:
    """Tell whether a value chooses something: null, false, max_steps -1 and max_grad_norm 0 take a choice back."""
    if value is None or value is False:
        return False
    return not ((name == "max_steps" and value < 1) or (name == "max_grad_norm" and value == 0))


def _optimizer(merged: dict[str, Value]) -> Value | None:
    """Return the optimizer that was chosen, ours or the host's."""
    chosen = [merged[name] for name in ("optimizer", "optim") if name in merged]
    return next((item for item in chosen if item.value is not None), None)


def _takes_no_warmup(scheduler: Any) -> bool:
    return scheduler in SCHEDULERS and "instead_of_warmup" in SCHEDULERS[scheduler].facts


def _converted(layer: Layer, settings: dict[str, Setting], problems: list[str]) -> dict[str, Value]:
    values = {}
    for name, written in layer.values.items():
        if name not in settings:
            problems.append(f"{written.where}: {unknown_setting(name, settings)}")
            continue
        try:
            values[name] = Value(convert(settings[name], written.value), written.where)
        except ValueError as error:
            ours, shelf = ON_A_SHELF.get(name, ("", ()))
            instead = f"{written.value} is one of ours: write {ours} for {name}" if written.value in shelf else error
            problems.append(f"{written.where}: {name}: {instead}")
    return values


def _drop(merged: dict[str, Value], names: tuple[str, ...], because: str, notes: list[str]) -> None:
    dropped = [f"{name} ({merged.pop(name).where})" for name in names if name in merged]
    if dropped:
        notes.append(f"{because} replaces {', '.join(dropped)}")
