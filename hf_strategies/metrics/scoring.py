"""Several metrics of one evaluation set, by their names."""

import importlib.util
import inspect
from collections.abc import Iterable
from typing import Any

from hf_strategies.errors import MissingPackageError, UserError, did_you_mean
from hf_strategies.metrics.shelf import METRICS


def compute_metrics(names: Iterable[str], predictions: Any, references: Any, **settings: Any) -> dict[str, float]:
    """Compute metrics of a whole evaluation set.

    What Trainer gathers from all ranks can be handed over as it is, padded to the longest row: labels of -100 count
    for nothing. A mean of the metrics of batches would be another number.

    Args:
        names: Of the metrics.
        predictions: As their `inputs` fact says: class scores will do for all that need classes.
        references: What is right.
        settings: Settings of these metrics; each takes those that it has.

    Returns:
        A number for each name.

    Raises:
        UserError: A name is unknown, none of these metrics has such a setting, or what is to be compared is empty, not
            finite, or does not fit together.
    """
    builders = {name: METRICS[name].build for name in names}
    accepted = {name: _settings_of(build) for name, build in builders.items()}
    known = sorted(set().union(*accepted.values()))
    for word in settings:
        if word not in known:
            listed = f" (known: {', '.join(known)})" if known else ""
            raise UserError(f"{', '.join(builders)}: no setting {word!r}{did_you_mean(word, known)}{listed}")
    return {
        name: build(predictions, references, **{word: settings[word] for word in accepted[name] & settings.keys()})
        for name, build in builders.items()
    }


def check_package(name: str) -> None:
    """Refuse a metric that cannot be computed here, before a run has come to its first evaluation.

    Raises:
        UserError: The name is unknown, or its package is not installed.
    """
    facts = METRICS[name].facts
    if "package" in facts and importlib.util.find_spec(facts["package"]) is None:
        raise MissingPackageError(facts["package"], facts["extra"], name)


def _settings_of(build: Any) -> set[str]:
    parameters = inspect.signature(build).parameters.values()
    return {found.name for found in parameters if found.kind is found.KEYWORD_ONLY}
