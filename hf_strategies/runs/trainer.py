"""The trainer of a pretraining run: model, data and strategies put together."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from transformers import (
    EvalPrediction,
    PreTrainedModel,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    default_data_collator,
)

from hf_strategies.arguments import Arguments
from hf_strategies.callbacks.gaps import fill_masks, fill_spans
from hf_strategies.callbacks.samples import SamplePrinterCallback
from hf_strategies.data import PreparedText
from hf_strategies.data.masked_blocks import MaskedBlocks
from hf_strategies.data.mixed_blocks import JoinedBlocks
from hf_strategies.errors import UserError, first_line
from hf_strategies.metrics.language_modeling import language_modeling_metrics, next_token_nll, token_nll
from hf_strategies.runs.output_folder import EVENTS
from hf_strategies.runs.prompts import gap_prompts, split_prompts
from hf_strategies.runs.strategies import ReportedMixin, strategies, usual_callbacks
from hf_strategies.training.source_losses import SourceLossMixin


class ReportedTrainer(SourceLossMixin, ReportedMixin, Trainer):
    """The trainer of pretraining."""


def build_trainer(
    arguments: Arguments, args: TrainingArguments, model: PreTrainedModel, text: PreparedText, folder: Path
) -> ReportedTrainer:
    """Put model, data and strategies together.

    Raises:
        UserError: The host refuses something: a reporter that is not installed, a Hub that does not know the user.
    """
    causal = arguments.strategy.objective == "causal"
    # BERT's and T5's own loss grows with micro-batches and ranks; where labels are smoothed, the host shifts them to
    # the next token for decoders of its own alone.
    objective = None if causal and not args.label_smoothing_factor else "cross_entropy"
    try:
        trainer = ReportedTrainer(
            model=model,
            args=args,
            train_dataset=text.train,
            eval_dataset=text.validation,
            processing_class=text.tokenizer,
            data_collator=default_data_collator,
            preprocess_logits_for_metrics=next_token_nll if causal else token_nll,
            compute_metrics=partial(
                score,
                num_bytes=getattr(text.validation, "num_bytes", None),
                rows_of=text.validation.rows() if isinstance(text.validation, JoinedBlocks) else {},
            ),
            objective=objective,
            **strategies(arguments, args, tokens_per_sample=text.validation.block_size),
            callbacks=build_callbacks(arguments, text, folder),
        )
    except (ImportError, OSError, ValueError) as error:
        raise UserError(first_line(error)) from error
    trainer.remove_callback(PrinterCallback)  # ConsoleCallback prints what it would, to be read
    return trainer


def score(prediction: EvalPrediction, *, num_bytes: float | None, rows_of: Mapping[str, slice]) -> dict[str, float]:
    """Adapt `language_modeling_metrics` to Trainer's `compute_metrics`, with the loss of each source of a mixture."""
    rows = prediction.predictions
    by_source = {name: language_modeling_metrics(rows[place], num_bytes=None) for name, place in rows_of.items()}
    losses = {f"loss_{name}": metrics["loss"] for name, metrics in by_source.items()}
    return {**language_modeling_metrics(rows, num_bytes=num_bytes), **losses}


def build_callbacks(arguments: Arguments, text: PreparedText, folder: Path) -> list[TrainerCallback]:
    """The callbacks of every pretraining run."""
    callbacks = usual_callbacks(arguments, folder, tokens_per_sample=text.validation.block_size)
    if arguments.run.num_completions:
        callbacks.append(print_samples(arguments, text, event_log=folder / EVENTS))
    return callbacks


def print_samples(arguments: Arguments, text: PreparedText, *, event_log: Path) -> SamplePrinterCallback:
    """Let the model go on with pieces of held-out text, or fill the gaps in them, as its objective is."""
    count, length = arguments.run.num_completions, arguments.run.max_new_tokens
    if isinstance(text.validation, MaskedBlocks):
        prompts, references = gap_prompts(text.validation, text.tokenizer, count=count)
        answer = fill_masks if arguments.strategy.objective == "masked" else partial(fill_spans, max_new_tokens=length)
    else:
        prompts, references = split_prompts(text.validation, text.tokenizer, count=count, reference_tokens=length)
        answer = None
    return SamplePrinterCallback(
        prompts, references=references, max_new_tokens=length, answer=answer, event_log=event_log
    )
