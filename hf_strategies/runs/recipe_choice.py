"""Which shipped recipe fits a fine-tuning job that names none: by its task, its data and its model."""

from dataclasses import dataclass

from hf_strategies.reports import format_count

FEW = 2_500  # examples: below it fine-tuning is unstable (Zhang et al. 2021, https://arxiv.org/abs/2006.05987)
TOO_FEW = 50  # examples per class: a linear probe, or prompting, may do better
LARGE = 1_000_000_000  # parameters: all of them no longer fit a single consumer GPU with AdamW's state


@dataclass(frozen=True, kw_only=True)
class JobFacts:
    """What a choice depends on.

    Args:
        task: A name on the shelf of tasks.
        num_examples: Rows to train on.
        num_classes: Classes to tell apart; 0 where there are none.
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
        return "from_scratch", about
    if facts.num_parameters >= LARGE:
        return "lora", f"{about}: too large to train whole"
    if facts.task in ("image-classification", "clip-classification"):
        return "vit_finetune", about
    if facts.num_examples < FEW:
        return "small_data", f"{about}: few examples need a warmup and many epochs"
    return "full", about


def too_little_data(facts: JobFacts) -> str:
    """Say so where there is hardly anything to learn from; nothing otherwise."""
    if facts.num_classes and facts.num_examples < TOO_FEW * facts.num_classes:
        per_class = facts.num_examples / facts.num_classes
        return (
            f"{per_class:.0f} examples per class are few: compare with --linear_probe and with scripts/score.py, and "
            "repeat with several seeds before you trust a score"
        )
    return ""
