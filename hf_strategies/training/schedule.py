"""What a schedule asks of Trainer's arguments."""

from transformers import TrainingArguments

from hf_strategies.errors import UserError


def better_metrics(args: TrainingArguments) -> str:
    """Say which values of the evaluation's metric are better: "min" or "max", as `ReduceLROnPlateau` calls them.

    Raises:
        UserError: Nothing is evaluated while training, or no metric is named: a rate that follows it would never move.
    """
    if args.eval_strategy == "no":
        raise UserError(
            "scheduler 'reduce_on_plateau' follows evaluations: set eval_strategy to steps or epoch, got no"
        )
    if args.metric_for_best_model is None:
        raise UserError("scheduler 'reduce_on_plateau' follows metric_for_best_model: expected a metric, such as loss")
    return "max" if args.greater_is_better else "min"
