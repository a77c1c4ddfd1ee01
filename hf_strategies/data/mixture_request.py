"""What a `mixture` setting says: sources by name, each with its weight, which may change over the run."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from hf_strategies.data.mixture_order import MixtureOrder, Phase
from hf_strategies.data.sources import TextSource
from hf_strategies.errors import UserError, did_you_mean

KEYS = ("train_file", "validation_file", "dataset_name", "dataset_config_name", "text_column", "weight")


@dataclass(frozen=True, kw_only=True)
class MixtureSource:
    """One source of a mixture.

    Args:
        name: In logs and results, as `loss_<name>`.
        train: Its text.
        validation: Its validation text; None holds a share of the first out.
        weights: From which share of the run on it has which share of the tokens, rising from 0.
    """

    name: str
    train: TextSource
    validation: TextSource | None
    weights: tuple[tuple[Fraction, Fraction], ...]

    def weight_at(self, share: Fraction) -> Fraction:
        """Return its share of the tokens when a share of the run is done."""
        return [weight for begin, weight in self.weights if begin <= share][-1]

    def mean_weight(self) -> Fraction:
        """Return its share of the tokens of the whole run."""
        ends = [*(begin for begin, _ in self.weights[1:]), Fraction(1)]
        lengths = (end - begin for end, (begin, _) in zip(ends, self.weights, strict=True))
        return sum((length * weight for length, (_, weight) in zip(lengths, self.weights)), Fraction(0))


def parse_mixture(written: Mapping[str, Any], text_column: str = "text") -> tuple[MixtureSource, ...]:
    """Read the setting.

    Args:
        written: Sources by name: {web: {train_file: c4.jsonl, weight: 0.9}, code: {train_file: src, weight: 0.1}}. A
            weight that changes is a mapping of shares of the run to weights, {0: 0.1, 0.8: 0.5}.
        text_column: Of sources that do not name their own.

    Raises:
        UserError: There is no source, one of them is not what it should be, or the weights do not sum to 1.
    """
    if not written:
        raise UserError("mixture is empty: expected at least one source, as {name: {train_file: ..., weight: ...}}")
    sources = tuple(_source(name, entry, text_column) for name, entry in written.items())
    for share in sorted({begin for source in sources for begin, _ in source.weights}):
        total = sum((source.weight_at(share) for source in sources), Fraction(0))
        if abs(total - 1) > Fraction(1, 10**6):
            when = f" from {float(share):g} of the run on" if share else ""
            raise UserError(f"the weights of a mixture must sum to 1, got {float(total):g}{when}")
    return sources


def order_of(sources: tuple[MixtureSource, ...], num_samples: int) -> MixtureOrder:
    """Deal the samples of a run to its sources.

    Args:
        sources: Of the mixture.
        num_samples: Of the whole run.
    """
    phases: dict[int, Phase] = {}
    for share in sorted({begin for source in sources for begin, _ in source.weights}):
        weights = [source.weight_at(share) for source in sources]
        begin = int(share * num_samples)
        phases[begin] = Phase(begin, tuple(weight / sum(weights) for weight in weights))
    return MixtureOrder(list(phases.values()))


def _source(name: str, entry: Any, text_column: str) -> MixtureSource:
    if not name.replace("-", "_").isidentifier():
        raise UserError(f"mixture: expected a name of letters, digits, - and _, got {name!r}")
    if not isinstance(entry, Mapping):
        raise UserError(f"mixture, {name}: expected {{train_file or dataset_name: ..., weight: ...}}, got {entry!r}")
    for key in entry:
        if key not in KEYS:
            raise UserError(
                f"mixture, {name}: no key {key!r}{did_you_mean(str(key), KEYS)} (known: {', '.join(KEYS)})"
            )
    if "weight" not in entry:
        raise UserError(f"mixture, {name}: expected a weight, its share of the tokens, got none")
    if bool(entry.get("train_file")) == bool(entry.get("dataset_name")):
        raise UserError(f"mixture, {name}: expected either train_file or dataset_name, got {sorted(entry)}")
    column = entry.get("text_column", text_column)
    held_out = _files(entry.get("validation_file"))
    return MixtureSource(
        name=name,
        train=TextSource(
            files=_files(entry.get("train_file")),
            dataset_name=entry.get("dataset_name"),
            dataset_config_name=entry.get("dataset_config_name"),
            text_column=column,
        ),
        validation=TextSource(files=held_out, text_column=column) if held_out else None,
        weights=_weights(name, entry["weight"]),
    )


def _files(written: Any) -> tuple[str, ...]:
    return tuple(map(str, written)) if isinstance(written, list | tuple) else (str(written),) if written else ()


def _weights(name: str, written: Any) -> tuple[tuple[Fraction, Fraction], ...]:
    by_share = written if isinstance(written, Mapping) else {0: written}
    weights = sorted((_share(name, begin), _share(name, weight)) for begin, weight in by_share.items())
    if not weights or weights[0][0] != 0:
        raise UserError(f"mixture, {name}: expected weights from share 0 of the run on, got {written!r}")
    if not any(weight for _, weight in weights):
        raise UserError(f"mixture, {name}: expected a weight above 0, got {written!r}: leave the source out")
    return tuple(weights)


def _share(name: str, written: Any) -> Fraction:
    try:
        value = None if isinstance(written, bool) else Fraction(str(written))
    except (ValueError, ZeroDivisionError):
        value = None
    if value is None or not 0 <= value <= 1:
        raise UserError(f"mixture, {name}: weights, and shares of the run, lie in [0, 1], got {written!r}")
    return value
