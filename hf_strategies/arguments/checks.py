"""What can be wrong with settings that are well formed: found before torch is imported, all of it at once."""

import math
from collections.abc import Collection, Iterator
from functools import partial
from typing import Any

from hf_strategies.adapters import ADAPTERS
from hf_strategies.arguments.architecture_checks import architecture_problems
from hf_strategies.arguments.machine_checks import machine_problems
from hf_strategies.arguments.merging import BELONGS_TO, OF_ARCHITECTURE, Value
from hf_strategies.arguments.objective_checks import objective_problems
from hf_strategies.arguments.prompting_checks import prompting_problems
from hf_strategies.arguments.quantities import parse_batch_size
from hf_strategies.arguments.schedule_checks import asked_decays, refused, schedule_problems
from hf_strategies.arguments.tuning_checks import tuning_problems
from hf_strategies.arguments.tuning_topics import FINETUNE, SCORE
from hf_strategies.data.mixture_request import parse_mixture
from hf_strategies.errors import as_written, did_you_mean
from hf_strategies.models import ARCHITECTURES
from hf_strategies.objectives import OBJECTIVES
from hf_strategies.optimizers import OPTIMIZERS, check_group_settings, check_optimizer_settings
from hf_strategies.ranges import MAX_LEARNING_RATE, SAM_RHO, Rule
from hf_strategies.schedulers import SCHEDULERS
from hf_strategies.tasks import TASKS

HOSTS_LEARNING_RATE = 5e-5
SHELVES = {
    "architecture": ARCHITECTURES,
    "optimizer": OPTIMIZERS,
    "scheduler": SCHEDULERS,
    "task": TASKS,
    "adapter": ADAPTERS,
    "loss": OBJECTIVES,
}

AT_LEAST_ONE: Rule = (lambda value: 1 <= value < math.inf, "at least 1")
NOT_NEGATIVE: Rule = (lambda value: 0 <= value < math.inf, "at least 0, and finite")
SHARE: Rule = (lambda value: 0 <= value < 1, "a share in [0, 1)")
POSITIVE: Rule = (lambda value: 0 < value < math.inf, "above 0, and finite")

RANGES: dict[str, Rule] = {
    "learning_rate": (lambda value: 0 < value <= MAX_LEARNING_RATE, f"above 0 and at most {MAX_LEARNING_RATE}"),
    "weight_decay": NOT_NEGATIVE,
    "max_grad_norm": NOT_NEGATIVE,
    "clip_grad_value": POSITIVE,
    "adaptive_clipping": POSITIVE,
    "sam_rho": SAM_RHO,
    "z_loss": POSITIVE,
    "guard_patience": AT_LEAST_ONE,
    "guard_rollbacks": NOT_NEGATIVE,
    "guard_snapshot_steps": NOT_NEGATIVE,
    "guard_lr_scale": (lambda value: 0 < value <= 1, "above 0 and at most 1"),
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
    "contamination_ngram": AT_LEAST_ONE,
    "max_eval_samples": AT_LEAST_ONE,
    "preprocessing_num_workers": AT_LEAST_ONE,
    "validation_share": (lambda value: 0 < value < 1, "a share in (0, 1)"),
    "max_broken_share": SHARE,
    "num_completions": NOT_NEGATIVE,
    "max_hours": POSITIVE,
    "save_minutes": POSITIVE,
    "save_at_steps": (
        lambda steps: all(step.isdecimal() and int(step) for step in steps),
        "whole numbers of at least 1",
    ),
    "hang_timeout": POSITIVE,
    "max_new_tokens": AT_LEAST_ONE,
    "max_target_length": AT_LEAST_ONE,
    "image_size": AT_LEAST_ONE,
    "reinitialize_blocks": NOT_NEGATIVE,
    "learning_rate_width": AT_LEAST_ONE,
    "num_seeds": AT_LEAST_ONE,
    "shots": (lambda shots: all(shot.isdecimal() for shot in shots), "whole numbers of at least 0"),
    "eval_accumulation_steps": AT_LEAST_ONE,
    "label_smoothing_factor": SHARE,
    "neftune_noise_alpha": NOT_NEGATIVE,
    "r_drop": POSITIVE,
    "fgm_epsilon": POSITIVE,
    "early_stopping_patience": AT_LEAST_ONE,
    "early_stopping_min_gain": NOT_NEGATIVE,
}


FIXED_BY_WEIGHTS = (
    "architecture", *OF_ARCHITECTURE, "vocab_size", "tokenizer", "tokenizer_name", "model_name_or_path", "optimizer",
    "optim",
)  # fmt: skip

NOT_OF_MIXTURES = (
    "validation_file", "validation_records", "streaming", "reverse_complement", "max_train_samples",
)  # fmt: skip

COMPUTED_HERE = {
    "prediction_loss_only": "it computes perplexity and bits per byte from predictions",
    "batch_eval_metrics": "it sums over the whole evaluation set",
    "do_predict": "it trains and evaluates",
    "save_only_model": "a run could not go on from its checkpoints",
}


def find_problems(values: dict[str, Value], job: str) -> Iterator[str]:
    """Yield one line per mistake in the settings of a job, each with where it stands."""
    for name, (holds, expected) in RANGES.items():
        given = values.get(name)
        if given is not None and given.value is not None and not holds(given.value):
            yield f"{given.where}: {name} must be {expected}, got {as_written(given.value)}"
    for name, shelf in SHELVES.items():
        given = values.get(name)
        if given is not None and given.value is not None and given.value not in shelf:
            yield from refused(given, partial(shelf.__getitem__, given.value))
    if (batch := values.get("global_batch_size")) is not None and batch.value is not None:
        yield from refused(batch, lambda: parse_batch_size(batch.value))
    yield from architecture_problems(values)
    yield from _strategy_problems(values)
    yield from _decay_problems(values)
    yield from _combinations(values)
    yield from machine_problems(values)
    if job == FINETUNE:
        yield from tuning_problems(values)
        return
    if job == SCORE:
        yield from prompting_problems(values)
        return
    yield from objective_problems(values)
    if not any(values.get(name) and values[name].value for name in ("architecture", "model_name_or_path")):
        yield "architecture: name one, or a checkpoint with model_name_or_path (whose tokenizer is its own)"


def _strategy_problems(values: dict[str, Value]) -> Iterator[str]:
    """Try the shelves' own checks of their settings."""
    optimizer, kwargs = values.get("optimizer"), values.get("optimizer_kwargs")
    if optimizer is not None and optimizer.value in OPTIMIZERS:
        hyper = (kwargs and kwargs.value) or {}
        yield from refused(kwargs or optimizer, lambda: check_optimizer_settings(optimizer.value, hyper))
        yield from _averaging_problems(optimizer, values)
    groups = values.get("param_groups")
    if optimizer is not None and optimizer.value in OPTIMIZERS and groups is not None:
        yield from refused(groups, lambda: check_group_settings(optimizer.value, groups.value))
    yield from schedule_problems(values)


def _averaging_problems(optimizer: Value, values: dict[str, Value]) -> Iterator[str]:
    """Refuse to let the rate fall for an optimizer that averages its weights instead."""
    if not OPTIMIZERS[optimizer.value].facts.get("averages"):
        return
    given = [values[name] for name in ("scheduler", "lr_scheduler_type") if name in values]
    chosen = [item for item in given if item.value is not None]
    schedule = chosen[0] if chosen else Value("linear, the host's default", optimizer.where)
    if not schedule.value.startswith("constant"):
        expected = f"optimizer {optimizer.value} averages instead of decaying: set scheduler to constant"
        yield f"{schedule.where}: {expected}, got {schedule.value}"


def _decay_problems(values: dict[str, Value]) -> Iterator[str]:
    """Refuse a decay that would not shrink weights but turn their signs."""
    rate, kwargs = values.get("learning_rate"), values.get("optimizer_kwargs")
    if rate is not None and rate.value is not None and not RANGES["learning_rate"][0](rate.value):
        return  # a rate that is out of range has been refused
    is_independent = kwargs is not None and (kwargs.value or {}).get("decay") == "independent"
    base = 1.0 if is_independent else (rate and rate.value) or HOSTS_LEARNING_RATE
    times = "" if is_independent else f" times a learning rate of {base:g}"
    for decay in asked_decays(values):
        if 1 <= base * decay.value < math.inf:
            must = "weight_decay must take less than all of a weight in a step"
            yield f"{decay.where}: {must}, got {decay.value:g}{times}"
            return


def change_problems(values: dict[str, Value], known: Collection[str]) -> Iterator[str]:
    """Refuse to allow changes of what is no setting, or of what a checkpoint's weights depend on.

    Args:
        values: What was set.
        known: Every setting's name.
    """
    allowed = values.get("allow_change")
    if allowed is None:
        return
    for name in allowed.value or ():
        if name in FIXED_BY_WEIGHTS:
            yield f"{allowed.where}: {name} cannot change: the checkpoint's weights or optimizer would not fit"
        elif name not in (*known, "data"):
            yield f"{allowed.where}: there is no setting {name!r} to change{did_you_mean(name, [*known, 'data'])}"


def _combinations(values: dict[str, Value]) -> Iterator[str]:
    def get(name: str) -> Any:
        return values[name].value if name in values else None

    if get("streaming") and (get("max_steps") or -1) < 1 and not get("cooldown_from"):
        yield f"{values['streaming'].where}: streaming needs max_steps: a stream has no length to count epochs by"
    if get("streaming") and not (get("train_file") or get("dataset_name")):
        yield f"{values['streaming'].where}: streaming needs train_file or dataset_name"
    if get("streaming") and get("max_train_samples"):
        yield f"{values['max_train_samples'].where}: max_train_samples has no meaning for a stream; set max_steps"
    if get("streaming") and get("contamination_ngram"):
        yield f"{values['contamination_ngram'].where}: contamination_ngram needs the whole text: leave streaming out"
    if get("validation_file") and not get("train_file") and not (get("do_eval") and not get("do_train")):
        yield f"{values['validation_file'].where}: validation_file needs train_file, unless the run only evaluates"
    if get("train_file") and set(get("train_file")) & set(get("validation_file") or []):
        yield f"{values['validation_file'].where}: validation_file must not be trained on; train_file names it too"
    if get("mixture") is not None:
        yield from _mixture_problems(values)
    for option in ("streaming", "isolate_documents"):
        if get("reverse_complement") and get(option):
            yield f"{values['reverse_complement'].where}: reverse_complement does not go with {option}"
    if get("validation_records") and not get("train_file"):
        yield f"{values['validation_records'].where}: validation_records are of FASTA files: name them in train_file"
    if get("do_train") is False and not get("do_eval"):
        yield f"{values['do_train'].where}: do_train false leaves nothing to do; add do_eval"
    yield from _best_kept_problems(values)
    if get("param_groups") and not get("optimizer"):
        yield f"{values['param_groups'].where}: param_groups needs an optimizer; those of optim have their own groups"
    if get("tokenizer") == "bpe" and get("vocab_size") is None:
        yield f"{values['tokenizer'].where}: tokenizer bpe needs a vocab_size"
    for name in COMPUTED_HERE:
        if get(name):
            yield f"{values[name].where}: {name} does not go with this script: {COMPUTED_HERE[name]}"


def _best_kept_problems(values: dict[str, Value]) -> Iterator[str]:
    """Refuse to keep the best checkpoint of a run that does not evaluate when it saves; the host names no cure."""
    asked = values.get("load_best_model_at_end")
    evaluates, saves = (values.get(name) for name in ("eval_strategy", "save_strategy"))
    when, saved = (evaluates and evaluates.value) or "no", (saves and saves.value) or "steps"
    if asked is None or not asked.value or when == saved or (saved == "best" and when != "no"):
        return
    given = [item for item in (evaluates, saves) if item is not None and not item.from_recipe]
    where = (given or [asked])[0].where
    yield (
        f"{where}: load_best_model_at_end ({asked.where}) needs an evaluation of each checkpoint, got eval_strategy "
        f"{when} and save_strategy {saved}: set it to false, or those alike"
    )


def _mixture_problems(values: dict[str, Value]) -> Iterator[str]:
    mixture = values["mixture"]
    yield from refused(mixture, lambda: parse_mixture(mixture.value))
    for name in NOT_OF_MIXTURES:
        if name in values and values[name].value:
            yield f"{values[name].where}: {name} does not go with a mixture, whose sources have their own"
    steps = values.get("max_steps")
    if "cooldown_from" not in values and (steps is None or steps.value < 1):
        yield f"{mixture.where}: a mixture needs max_steps: it has no length to count epochs by"


def belonging_problems(values: dict[str, Value]) -> Iterator[str]:
    """Yield one line per setting that belongs to another one, which nothing sets."""

    def get(name: str) -> Any:
        return values[name].value if name in values else None

    for name, choices in BELONGS_TO.items():
        if get(name) is not None and not any(get(choice) for choice in choices):
            hint = f"; for optimizer {get('optimizer')} see optimizer_kwargs" if "optim" in choices else ""
            yield f"{values[name].where}: {name} belongs to {' or '.join(choices)}, which this run does not set{hint}"
