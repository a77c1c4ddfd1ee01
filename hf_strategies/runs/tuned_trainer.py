"""The trainer of a fine-tuning run: task, model, data and strategies put together."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn
from torch.utils.data import Dataset
from transformers import PrinterCallback, Seq2SeqTrainer, Trainer, TrainerCallback, TrainingArguments

from hf_strategies.adapters import ADAPTERS
from hf_strategies.arguments import Arguments
from hf_strategies.arguments.tuning_checks import IN_TURN
from hf_strategies.callbacks import CALLBACKS
from hf_strategies.callbacks.early_stopping import EarlyStoppingCallback
from hf_strategies.callbacks.overfitting import OverfittingCallback
from hf_strategies.callbacks.weight_averaging import WeightAveragingCallback
from hf_strategies.errors import UserError, first_line
from hf_strategies.objectives import OBJECTIVES
from hf_strategies.objectives.class_imbalance import class_weights
from hf_strategies.runs.output_folder import EVENTS
from hf_strategies.runs.strategies import ReportedMixin, strategies, usual_callbacks
from hf_strategies.tasks.labels import MULTI, REGRESSION, SINGLE
from hf_strategies.tasks.task import Task
from hf_strategies.training.feed.balanced_order import ClassBalance

# In the place of a model's own loss, which is another one for every split of a batch (see ObjectiveMixin).
OBJECTIVE_OF = {SINGLE: "cross_entropy", MULTI: "binary_cross_entropy", REGRESSION: "mean_squared_error"}
ITEMS = {"classes": "labels of one class each", "flags": "lists of labels", "values": "numbers as labels"}
SCHEMES = {"balanced": "inverse_frequency", "effective": "effective_number"}


class TunedTrainer(ReportedMixin, Trainer):
    """The trainer of fine-tuning."""


class TunedSeq2SeqTrainer(ReportedMixin, Seq2SeqTrainer):
    """The trainer of tasks that are evaluated by what the model writes."""

    def __init__(self, *args: Any, optimizer_cls_and_kwargs: tuple[Any, dict] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.optimizer_cls_and_kwargs = optimizer_cls_and_kwargs  # which the host's class has no argument for


def build_tuned_trainer(
    arguments: Arguments,
    args: TrainingArguments,
    model: nn.Module,
    task: Task,
    processor: Any,
    train: Dataset,
    validation: Dataset,
    *,
    objective: Mapping[str, Any],
    saved: Any,
    folder: Path,
) -> TunedTrainer | TunedSeq2SeqTrainer:
    """Put everything together.

    Args:
        arguments: What was asked for.
        args: The host's part of it.
        model: To be trained.
        task: Settled.
        processor: The model's.
        train: As the task made it.
        validation: As the task made it.
        objective: As `choose_objective` gave it.
        saved: What is saved beside the model, for whoever has rows for it; None where there is no such thing.
        folder: Of the run.

    Raises:
        UserError: The host or a strategy refuses something.
    """
    made = TunedSeq2SeqTrainer if task.head == "seq2seq" else TunedTrainer
    try:
        trainer = made(
            model=model,
            args=args,
            train_dataset=train,
            eval_dataset=validation,
            processing_class=saved,
            data_collator=task.collator(processor),
            preprocess_logits_for_metrics=None if task.head == "seq2seq" else task.reduce_logits,
            compute_metrics=task.score,
            callbacks=tuning_callbacks(arguments, folder),
            **objective,
            **strategies(arguments, args, tokens_per_sample=None),
        )
    except (ImportError, OSError, ValueError) as error:
        raise UserError(first_line(error)) from error
    trainer.remove_callback(PrinterCallback)  # ConsoleCallback prints what it would, to be read
    return trainer


def choose_objective(arguments: Arguments, task: Task, classes: Sequence[int] | None) -> dict[str, Any]:
    """Choose what is minimised, by the names of the trainer's constructor.

    Args:
        arguments: What was asked for.
        task: Settled.
        classes: Number of each training row's class; None where a row has not just one.

    Raises:
        UserError: The loss is for labels of another kind; or classes are to be weighed or balanced where rows have not
            just one.
    """
    asked = arguments.regularization
    usual = OBJECTIVE_OF.get(task.config.get("problem_type", ""), "cross_entropy")
    name = asked.loss or usual
    made_for, found = OBJECTIVES[name].facts["items"], OBJECTIVES[usual].facts["items"]
    if made_for != found:
        fitting = " or ".join(entry.name for entry in OBJECTIVES if entry.facts["items"] == found)
        said = f"loss {name} is for {ITEMS[made_for]}, and there are {ITEMS[found]}: take {fitting}"
        raise UserError(f"{arguments.values['loss'].where}: {said}")
    settings = dict(asked.loss_kwargs or {})
    if (asked.class_weights or asked.balanced_sampling is not None) and classes is None:
        raise UserError("class_weights and balanced_sampling need one class per row, which this task has not")
    if asked.class_weights is not None:
        assert classes is not None
        settings["class_weights"] = class_weights(
            classes, SCHEMES[asked.class_weights], num_classes=task.config["num_labels"]
        )
    chosen: dict[str, Any] = {
        "objective": name,
        "objective_kwargs": settings,
        "r_drop": asked.r_drop,
        "fgm_epsilon": asked.fgm_epsilon,
    }
    if asked.balanced_sampling is not None:
        assert classes is not None
        in_turn = asked.balanced_sampling == IN_TURN
        chosen["balance"] = ClassBalance(classes, None if in_turn else float(asked.balanced_sampling))
    return chosen


def tuning_callbacks(arguments: Arguments, folder: Path) -> list[TrainerCallback]:
    """The callbacks of every fine-tuning run."""
    asked = arguments.regularization
    callbacks = usual_callbacks(arguments, folder, tokens_per_sample=None)
    callbacks.append(OverfittingCallback(folder / EVENTS))
    adapter = arguments.weights.adapter
    if adapter is not None and "callback" in ADAPTERS[adapter].facts:
        callbacks.append(CALLBACKS[ADAPTERS[adapter].facts["callback"]].build())
    if asked.early_stopping_patience is not None:
        patience, gain = asked.early_stopping_patience, asked.early_stopping_min_gain
        callbacks.append(EarlyStoppingCallback(patience, min_gain=gain, event_log=folder / EVENTS))
    if asked.averaging is not None:
        callbacks.append(WeightAveragingCallback(asked.averaging, **(asked.averaging_kwargs or {})))
    return callbacks
