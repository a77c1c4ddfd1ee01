"""What can be wrong with an objective: its settings, a model that does not learn by it, what only decoders can."""

from collections.abc import Iterator

from hf_strategies.arguments.merging import Value
from hf_strategies.arguments.schedule_checks import metric_problems, refused
from hf_strategies.data.maskings import check_masking_settings
from hf_strategies.models import ARCHITECTURES
from hf_strategies.tasks import TASKS

CAUSAL = "causal"  # the default
METRICS = ("loss", "perplexity", "bits_per_byte")  # of an evaluation, as eval_loss and so on; lower is better
ONLY_CAUSAL = ("streaming", "isolate_documents", "reverse_complement", "mixture")


def objective_problems(values: dict[str, Value]) -> Iterator[str]:
    """Yield one line per mistake about the objective, each with where it stands."""
    chosen, settings, architecture = (values.get(name) for name in ("objective", "objective_kwargs", "architecture"))
    objective = CAUSAL if chosen is None else chosen.value
    if chosen is not None and settings is not None and settings.value:
        yield from refused(settings, lambda: check_masking_settings(objective, settings.value))
    if architecture is not None and architecture.value in ARCHITECTURES:
        fits = ARCHITECTURES[architecture.value].facts["objectives"]
        fits = [name for name in fits if name not in TASKS] or fits
        if objective not in fits:
            learners = [entry.name for entry in ARCHITECTURES if objective in entry.facts["objectives"]]
            yield (
                f"{(chosen or architecture).where}: architecture {architecture.value} learns by objective "
                f"{' or '.join(fits)}, got {objective} (which fits {', '.join(learners)})"
            )
    yield from metric_problems(values, METRICS)
    greater = values.get("greater_is_better")
    if greater is not None and greater.value:
        yield f"{greater.where}: greater_is_better must be false: {', '.join(METRICS)} are better when lower, got true"
    if objective == CAUSAL:
        return
    for option in ONLY_CAUSAL:
        if option in values and values[option].value:
            yield f"{values[option].where}: {option} goes with objective causal alone, not with {objective}"
    metric = values.get("metric_for_best_model")
    if metric is not None and metric.value in ("bits_per_byte", "eval_bits_per_byte"):
        yield f"{metric.where}: objective {objective} has no bits_per_byte: it does not predict all of the text"
