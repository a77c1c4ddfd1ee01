"""Which shipped recipe fits a fine-tuning job that names none: by its task, its data and its model."""

from dataclasses import dataclass

from hf_strategies.reports import format_count

FEW = 2_500  # examples: below it fine-tuning is unstable (Zhang et al. 2021, https://arxiv.org/abs/2006.05987)
TOO_FEW = 50  # examples, per class where there are some: a linear probe, or prompting, may do better
LARGE = 1_000_000_000  # parameters: all of them no longer fit a single consumer GPU with AdamW's state
FROM_SCRATCH = {"image-classification": "from_scratch", "clip-classification": "clips_from_scratch"}


@dataclass(frozen=True, kw_only=True)
class JobFacts:
    """What a choice depends on.

    Args:
        task: A name on the shelf of tasks.
        num_examples: Rows to train on.
        num_classes: Classes of which each example has one; 0 where it has none, or several.
        num_parameters: Of the checkpoint; 0 where training starts from scratch.
        linear_probe: Whether the head alone is to be trained.
    """

    task: str
    num_examples: int
    num_classes: int
    num_parameters: int
    linear_probe: bool = False


def choose_recipe(facts: JobFacts) -> tuple[str, str]:
    """Choose a recipe.

    Returns:
        Its name, and why.
    """
    size = f"{format_count(facts.num_parameters)} parameters" if facts.num_parameters else "a model from scratch"
    about = f"{facts.num_examples:,} examples, {size}"
    if facts.linear_probe:
        return "linear_probe", f"{about}: a head alone wants a higher rate"
    if facts.task == "causal-lm":
        return ("lora", f"{about}: too large to train whole") if facts.num_parameters >= LARGE else ("instruct", about)
    if not facts.num_parameters:
        return FROM_SCRATCH.get(facts.task, "text_from_scratch"), about
    if facts.num_parameters >= LARGE:
        return "lora", f"{about}: too large to train whole"
    if facts.task in ("image-classification", "clip-classification"):
        return "vit_finetune", about
    if facts.task == "seq2seq":
        return "seq2seq", f"{about}: an encoder-decoder wants a higher rate than an encoder"
    if facts.num_examples < FEW:
        return "small_data", f"{about}: few examples need a warmup and many epochs"
    return "full", about


def too_little_data(facts: JobFacts) -> str:
    """Say so where there is hardly anything to learn from; nothing otherwise."""
    count = facts.num_examples / max(facts.num_classes, 1)
    if count >= TOO_FEW:
        return ""
    others = []
    if facts.num_parameters and facts.task.endswith("-classification") and not facts.linear_probe:
        others.append("with --linear_probe")
    if facts.num_classes and facts.task == "text-classification":
        others.append("with scripts/score.py")
    compare = f"compare {' and '.join(others)}, and " if others else ""
    per_class = " per class" if facts.num_classes else ""
    return f"{count:.0f} examples{per_class} are few: {compare}repeat with several seeds before you trust a score"
