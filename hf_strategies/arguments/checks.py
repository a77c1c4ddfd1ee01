"""What can be wrong with settings that are well formed: found before torch is imported, all of it at once."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from hf_strategies.arguments.merging import BELONGS_TO, SIZES, Value
from hf_strategies.arguments.quantities import parse_batch_size
from hf_strategies.errors import UserError
from hf_strategies.models import ARCHITECTURES, resolve_sizes
from hf_strategies.optimizers import OPTIMIZERS, check_optimizer_settings
from hf_strategies.schedulers import SCHEDULERS, bind_curve

SHELVES = {"architecture": ARCHITECTURES, "optimizer": OPTIMIZERS, "scheduler": SCHEDULERS}

Rule = tuple[Callable[[Any], bool], str]
AT_LEAST_ONE: Rule = (lambda value: 1 <= value < math.inf, "at least 1")
NOT_NEGATIVE: Rule = (lambda value: 0 <= value < math.inf, "at least 0, and finite")
SHARE: Rule = (lambda value: 0 <= value < 1, "a share in [0, 1)")
POSITIVE: Rule = (lambda value: 0 < value < math.inf, "above 0, and finite")

RANGES: dict[str, Rule] = {
    "learning_rate": (lambda value: 0 < value <= 10, "above 0 and at most 10"),
    "weight_decay": NOT_NEGATIVE,
    "max_grad_norm": NOT_NEGATIVE,
    "warmup_steps": NOT_NEGATIVE,
    "num_train_epochs": POSITIVE,
    "max_steps": (lambda value: value >= 1 or value == -1, "at least 1, or -1 to count epochs"),
    "seed": NOT_NEGATIVE,
    "data_seed": NOT_NEGATIVE,
    "dataloader_num_workers": NOT_NEGATIVE,
    "save_total_limit": AT_LEAST_ONE,
    "per_device_train_batch_size": AT_LEAST_ONE,
    "per_device_eval_batch_size": AT_LEAST_ONE,
    "gradient_accumulation_steps": AT_LEAST_ONE,
    "logging_steps": POSITIVE,
    "save_steps": POSITIVE,
    "eval_steps": POSITIVE,
    "vocab_size": (lambda value: value >= 16, "at least 16"),
    "max_seq_length": (lambda value: value >= 2, "at least 2 (a token, and one to predict)"),
    "max_train_samples": AT_LEAST_ONE,
    "max_eval_samples": AT_LEAST_ONE,
    "preprocessing_num_workers": AT_LEAST_ONE,
    "validation_share": (lambda value: 0 < value < 1, "a share in (0, 1)"),
    "max_broken_share": SHARE,
    "num_completions": NOT_NEGATIVE,
    "max_new_tokens": AT_LEAST_ONE,
}


# Fields of a config that are settings: by name.
OWN_SETTINGS = {name: name for name in (*SIZES, "vocab_size")} | {"max_position_embeddings": "max_seq_length"}

COMPUTED_HERE = {
    "prediction_loss_only": "it computes perplexity and bits per byte from predictions",
    "batch_eval_metrics": "it sums over the whole evaluation set",
    "do_predict": "it trains and evaluates",
}


def find_problems(values: dict[str, Value]) -> Iterator[str]:
    """Yield one line per mistake, each with where it stands."""
    for name, (holds, expected) in RANGES.items():
        given = values.get(name)
        if given is not None and given.value is not None and not holds(given.value):
            yield f"{given.where}: {name} must be {expected}, got {given.value}"
    for name, shelf in SHELVES.items():
        given = values.get(name)
        if given is not None and given.value is not None and given.value not in shelf:
            yield from _refused(given, partial(shelf.__getitem__, given.value))
    if (batch := values.get("global_batch_size")) is not None and batch.value is not None:
        yield from _refused(batch, lambda: parse_batch_size(batch.value))
    yield from _size_problems(values)
    yield from _override_problems(values)
    yield from _strategy_problems(values)
    yield from _combinations(values)


def _refused(given: Value, attempt: Callable[[], Any]) -> Iterator[str]:
    try:
        attempt()
    except UserError as error:
        yield f"{given.where}: {error}"


def _size_problems(values: dict[str, Value]) -> Iterator[str]:
    architecture = values.get("architecture")
    if architecture is None or architecture.value not in ARCHITECTURES:
        return
    sizes = {name: values[name].value for name in SIZES if name in values and name != "config_overrides"}
    for name, size in sizes.items():
        if size is not None and size < 1:
            yield f"{values[name].where}: {name} must be at least 1, got {size}"
            return
    given = [values[name] for name in sizes if sizes[name] is not None]
    flags = [item for item in given if item.where.startswith("--")]
    blamed = (flags or given or [architecture])[-1]
    yield from _refused(blamed, lambda: resolve_sizes(architecture.value, sizes))


def _override_problems(values: dict[str, Value]) -> Iterator[str]:
    """Refuse overrides that would go behind the back of a setting's own checks; a checkpoint's are its own affair."""
    overrides, architecture = values.get("config_overrides"), values.get("architecture")
    if overrides is None or architecture is None or architecture.value is None:
        return
    for name in overrides.value or {}:
        if name in OWN_SETTINGS:
            yield f"{overrides.where}: {name} is a setting of its own: {OWN_SETTINGS[name]}"


def _strategy_problems(values: dict[str, Value]) -> Iterator[str]:
    """Try the shelves' own checks of their settings."""
    optimizer, kwargs = values.get("optimizer"), values.get("optimizer_kwargs")
    if optimizer is not None and optimizer.value in OPTIMIZERS and kwargs is not None:
        yield from _refused(kwargs, lambda: check_optimizer_settings(optimizer.value, kwargs.value or {}))
    scheduler, shape = values.get("scheduler"), values.get("scheduler_kwargs")
    if scheduler is not None and scheduler.value in SCHEDULERS:
        steps, warmup = values.get("max_steps"), values.get("warmup_steps")
        # A run counted in epochs gets its length with its data; until then only lengths beyond any run are wrong.
        length = steps.value if steps is not None and steps.value > 0 else 10**9
        given = (shape and shape.value) or {}
        bind = partial(bind_curve, SCHEDULERS[scheduler.value], length, warmup.value if warmup else 0, given)
        yield from _refused(shape or warmup or scheduler, bind)


def _combinations(values: dict[str, Value]) -> Iterator[str]:
    def get(name: str) -> Any:
        return values[name].value if name in values else None

    if get("streaming") and (get("max_steps") or -1) < 1:
        yield f"{values['streaming'].where}: streaming needs max_steps: a stream has no length to count epochs by"
    if get("streaming") and not (get("train_file") or get("dataset_name")):
        yield f"{values['streaming'].where}: streaming needs train_file or dataset_name"
    if get("streaming") and get("max_train_samples"):
        yield f"{values['max_train_samples'].where}: max_train_samples has no meaning for a stream; set max_steps"
    if get("validation_file") and not get("train_file") and not (get("do_eval") and not get("do_train")):
        yield f"{values['validation_file'].where}: validation_file needs train_file, unless the run only evaluates"
    if get("train_file") and set(get("train_file")) & set(get("validation_file") or []):
        yield f"{values['validation_file'].where}: validation_file must not be trained on; train_file names it too"
    if get("do_train") is False and not get("do_eval"):
        yield f"{values['do_train'].where}: do_train false leaves nothing to do; add do_eval"
    if get("tokenizer") == "bpe" and get("vocab_size") is None:
        yield f"{values['tokenizer'].where}: tokenizer bpe needs a vocab_size"
    for name in COMPUTED_HERE:
        if get(name):
            yield f"{values[name].where}: {name} does not go with this script: {COMPUTED_HERE[name]}"
    if not (get("architecture") or get("model_name_or_path")):
        yield "architecture: name one, or a checkpoint with model_name_or_path (whose tokenizer is its own)"
    for name, choices in BELONGS_TO.items():
        if get(name) is not None and not any(get(choice) for choice in choices):
            hint = f"; for optimizer {get('optimizer')} see optimizer_kwargs" if "optim" in choices else ""
            yield f"{values[name].where}: {name} belongs to {' or '.join(choices)}, which this run does not set{hint}"
