"""A recipe made smaller: what `scale_to` changes, by which rules.

Model: width and depth shrink by about the same factor; heads keep their size, feed-forward layers their ratio, and
embeddings their share of the parameters, as long as 4,096 tokens are left. Run: 20 tokens for each parameter (Hoffmann
et al. 2022, https://arxiv.org/abs/2203.15556), or what the recipe has if that is less; a patch of an image is a token.
The batch shrinks as those tokens to the power 0.571 (Step Law, https://arxiv.org/abs/2503.04715), and rows are halved
until it holds eight. Warmup and phases keep their share of the run. The rate grows as one over the root of the width,
as that of the first Transformer does; optimizers whose steps are relative to the weights keep theirs. What a flag
gives stays.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hf_strategies.arguments.merging import PROPORTIONS, SIZES, Value
from hf_strategies.arguments.quantities import parse_batch_size, parse_parameters
from hf_strategies.errors import UserError
from hf_strategies.models import ARCHITECTURES, resolve_sizes
from hf_strategies.models.scaled_size import scaled_sizes
from hf_strategies.reports.terminal import format_count, format_fact
from hf_strategies.schedulers import RunScale

TOKENS_PER_PARAMETER = 20
BATCH_EXPONENT = 0.571
LEAST_ROWS, SHORTEST_ROW = 8, 128
LEAST_VOCABULARY = 4096
RELATIVE = ("lamb", "adafactor", "muon")  # a step is a share of the weights it changes, whatever their width
TEXT_LENGTH, IMAGE_SIZE, PATCH_SIZE = 512, 224, 16
RHYTHM = ("eval_steps", "save_steps")
HEADS = {"causal": "causal", "masked": "masked", "span": "seq2seq", "text-classification": "sequence-classification"}


@dataclass(frozen=True)
class RunSize:
    """How long a run is, and its batch: rows of so many tokens (or images of so many patches)."""

    updates: int
    rows: int
    row: int

    @property
    def tokens(self) -> int:
        return self.updates * self.rows * self.row


def shrink_run(run: RunSize, target: int, *, cuts_rows: bool) -> RunSize:
    """Shrink a run for a model of `target` parameters; `cuts_rows` says whether rows may become shorter."""
    tokens = min(run.tokens, TOKENS_PER_PARAMETER * target)
    batch = run.rows * run.row * (tokens / run.tokens) ** BATCH_EXPONENT
    row = run.row
    while cuts_rows and batch / row < LEAST_ROWS and row >= 2 * SHORTEST_ROW:
        row //= 2
    rows = min(run.rows, max(1, round(batch / row / LEAST_ROWS)) * LEAST_ROWS)
    return RunSize(max(1, round(tokens / (rows * row))), rows, row)


def shrink_length(length: Any, full: RunSize, small: RunSize) -> Any:
    """Keep a length's share of the run: of whole updates, or of tokens; shares and epochs stay as they are."""
    if isinstance(length, str) and "epoch" not in length:
        length = RunScale(full.updates, full.rows * full.row).updates("scale_to", length, rounding=round)
    if isinstance(length, str) or not length or length < 1:
        return length
    return max(1, round(length * small.updates / full.updates))


def shrink_lengths(settings: Any, full: RunSize, small: RunSize) -> Any:
    """Do so with every length in the settings of a schedule, also in those of its phases."""
    if isinstance(settings, list):
        return [shrink_lengths(item, full, small) for item in settings]
    if not isinstance(settings, Mapping):
        return settings
    changed = {}
    for name, value in settings.items():
        if name == "milestones":
            changed[name] = [shrink_length(milestone, full, small) for milestone in value]
        elif name == "step_size" or (name.startswith("num_") and name.endswith("_steps")):
            changed[name] = shrink_length(value, full, small)
        else:
            changed[name] = shrink_lengths(value, full, small)
    return changed


def changes(name: str, before: Any, after: Any) -> Iterator[str]:
    """Yield what changed in a setting, each number of a mapping or a list for itself."""
    if isinstance(before, Mapping):
        for key, value in before.items():
            yield from changes(key, value, after[key])
    elif isinstance(before, list):
        for old, new in zip(before, after):
            yield from changes(name, old, new)
    elif before != after:
        yield f"{name} {format_fact(before)} -> {format_fact(after)}"


def scale(values: Mapping[str, Value], recipe: Mapping[str, Value]) -> tuple[dict[str, Value], list[str]]:
    """Shrink settings that were checked to `scale_to` parameters.

    Args:
        values: All settings.
        recipe: Those that no flag gave: the run whose proportions are kept.

    Returns:
        All settings, the changed ones in place of what they were, and a line for each kind of change. `scale_to` is
        done, and no longer among them.

    Raises:
        UserError: The model cannot be shrunk to that.
    """
    asked = values["scale_to"]
    try:
        return _Scaling(values, recipe, asked).done()
    except UserError as error:
        raise UserError(f"{asked.where}: scale_to {asked.value}: {error}") from error


class _Scaling:
    """One recipe on its way: settings as they were, and as they become."""

    def __init__(self, values: Mapping[str, Value], recipe: Mapping[str, Value], asked: Value) -> None:
        self.before, self.recipe = values, recipe
        self.now = {name: value for name, value in values.items() if name != "scale_to"}
        self.label, self.where = asked.value, asked.where
        self.target = parse_parameters(asked.value)
        self.architecture = self.get("architecture")
        self.is_image = "image-classification" in ARCHITECTURES[self.architecture].facts["objectives"]
        self.notes: list[str] = []

    def done(self) -> tuple[dict[str, Value], list[str]]:
        given = {name: self.get(name) for name in SIZES}
        options = self.get("architecture_kwargs") or {}
        full, _ = resolve_sizes(self.architecture, given, size=self.get("size"), options=options)
        run = self.run_size(self.recipe)
        if run is None:
            self.note(["the run's length and batch stay"], "counted in epochs, or by devices")
        else:
            self.shorten(run)
        self.narrow(full, options)
        self.quicken(full["hidden_size"], self.get("hidden_size"))
        return self.now, self.notes

    def get(self, name: str, default: Any = None, *, of: Mapping[str, Value] | None = None) -> Any:
        found = (self.now if of is None else of).get(name)
        return default if found is None or found.value is None else found.value

    def is_fixed(self, name: str) -> bool:
        """Whether a flag gave it."""
        return name in self.before and self.before[name].where.startswith("--")

    def set(self, name: str, value: Any) -> str:
        """Change a setting, unless a flag gave it; say so in a few words, or nothing where it stays."""
        old = self.now.get(name)
        if self.is_fixed(name) or (old is not None and old.value == value):
            return ""
        self.now[name] = Value(value, f"{old.where if old else self.where}, scaled to {self.label}")
        return ", ".join(changes(name, old and old.value, value))

    def note(self, changed: list[str], why: str) -> None:
        if said := ", ".join(filter(None, changed)):
            self.notes.append(f"scale_to {self.label}: {said} ({why})")

    def run_size(self, settings: Mapping[str, Value]) -> RunSize | None:
        """Return how long a run is; None where its data alone tell, or devices its batch."""
        updates, batch = self.get("max_steps", -1, of=settings), self.get("global_batch_size", of=settings)
        if updates < 1 or batch is None:
            return None
        row = self.get("max_seq_length", TEXT_LENGTH, of=settings)
        if self.is_image:
            side = self.get("image_size", IMAGE_SIZE, of=settings) // self.get("patch_size", PATCH_SIZE, of=settings)
            row = side**2
        size = parse_batch_size(batch)
        return RunSize(updates, size.count if size.unit == "sequences" else max(1, round(size.count / row)), row)

    def shorten(self, full: RunSize) -> None:
        small = shrink_run(full, self.target, cuts_rows=not self.is_image and not self.is_fixed("max_seq_length"))
        batches = [self.set("global_batch_size", str(small.rows))] if small.rows < full.rows else []
        if not self.is_image:
            batches.append(self.set("max_seq_length", small.row))
        batch = self.run_size(self.now)
        assert batch is not None  # as the recipe's is not
        if (most := self.get("per_device_train_batch_size")) is not None:
            parts = [size for size in range(1, min(most, batch.rows) + 1) if batch.rows % size == 0]
            batches.append(self.set("per_device_train_batch_size", parts[-1]))
        self.note(batches, f"the batch as tokens^{BATCH_EXPONENT}; a row is halved until a batch has {LEAST_ROWS}")
        updates = max(1, round(small.tokens / (batch.rows * batch.row)))
        per_parameter = "fewer than" if small.tokens < TOKENS_PER_PARAMETER * self.target * 0.9 else "about"
        what = f"{format_count(small.tokens)} {'patches' if self.is_image else 'tokens'}"
        said = f"{what}, {per_parameter} {TOKENS_PER_PARAMETER} for each parameter"
        self.note([self.set("max_steps", updates)], said)
        small = RunSize(self.get("max_steps"), batch.rows, batch.row)
        lengths = [
            self.set(name, shrink_length(self.get(name), full, small))
            for name in ("warmup_steps", *RHYTHM)
            if self.get(name) is not None
        ]
        if self.get("scheduler_kwargs"):
            lengths.append(self.set("scheduler_kwargs", shrink_lengths(self.get("scheduler_kwargs"), full, small)))
        self.note(lengths, "the same shares of the run")

    def narrow(self, full: dict[str, int], options: dict[str, Any]) -> None:
        """Choose the sizes and the vocabulary."""
        from hf_strategies.models.factory import count_parameters, create_config

        objective = self.get("task") or self.get("objective", "causal")
        vocabulary = self.get("vocab_size")
        trained = self.get("tokenizer") == "bpe" and not self.is_fixed("vocab_size")
        if self.get("tokenizer_name") is not None:
            raise UserError("embeddings count: take a tokenizer that is trained here, with a vocab_size")

        def count(sizes: dict[str, int], vocab_size: int | None = None) -> int:
            inputs = {"vocab_size": vocab_size or tokens(sizes["hidden_size"]), "max_seq_length": length}
            if self.is_image:
                inputs = {"image_size": self.get("image_size", IMAGE_SIZE), "num_channels": 3}
            overrides = self.get("config_overrides")
            config = create_config(self.architecture, sizes=sizes, options=options, overrides=overrides, **inputs)
            return count_parameters(config, HEADS.get(objective, objective))

        def tokens(width: int) -> int:
            if not trained:
                return vocabulary or 256
            share = vocabulary * self.target / whole * full["hidden_size"] / width
            return min(vocabulary, max(LEAST_VOCABULARY, 64 * math.ceil(share / 64)))

        length = self.get("max_seq_length", TEXT_LENGTH)
        whole = count(full, vocabulary or 256)
        sizes = scaled_sizes(self.architecture, full, self.target, count)
        for name in PROPORTIONS:
            if self.now.get(name) is None and name in sizes:
                self.now[name] = Value(full[name], self.now.get("size", self.before["architecture"]).where)
        self.now.pop("size", None)
        smaller = [self.set(name, sizes[name]) for name in PROPORTIONS if name in sizes]
        self.note(smaller, "width and depth alike; heads keep their size, feed-forward layers their ratio")
        if trained and not self.is_image:
            small = tokens(sizes["hidden_size"])
            why = "embeddings keep their share" if small > LEAST_VOCABULARY else "no fewer, whatever their share"
            self.note([self.set("vocab_size", small)], why)

    def quicken(self, full: int, narrow: int) -> None:
        """Raise the rate."""
        optimizer = self.get("optimizer")
        if optimizer in RELATIVE:
            self.note(["learning_rate stays"], f"steps of {optimizer} are relative to the weights")
        elif self.get("learning_rate") is not None:
            rate = float(f"{self.get('learning_rate') * math.sqrt(full / narrow):.4g}")
            self.note([self.set("learning_rate", rate)], "as one over the root of the width")
