"""The trainer of a pretraining run: model, data and strategies put together."""

from functools import partial
from pathlib import Path
from typing import Any

from transformers import (
    EvalPrediction,
    PreTrainedModel,
    PrinterCallback,
    TrainerCallback,
    TrainingArguments,
    default_data_collator,
)

from hf_strategies.arguments import Arguments
from hf_strategies.arguments.cooldown import read_trunk_state
from hf_strategies.arguments.topics import GuardArguments
from hf_strategies.callbacks.console import ConsoleCallback
from hf_strategies.callbacks.event_log import EventLogCallback
from hf_strategies.callbacks.gaps import fill_masks, fill_spans
from hf_strategies.callbacks.hyperparameter_curve import HyperparameterCurveCallback
from hf_strategies.callbacks.layer_norms import LayerNormsCallback
from hf_strategies.callbacks.parameter_groups import ParameterGroupsCallback
from hf_strategies.callbacks.samples import SamplePrinterCallback
from hf_strategies.callbacks.throughput import ThroughputCallback
from hf_strategies.data import PreparedText
from hf_strategies.data.masked_blocks import MaskedBlocks
from hf_strategies.errors import UserError, first_line
from hf_strategies.metrics.language_modeling import language_modeling_metrics, next_token_nll, token_nll
from hf_strategies.optimizers import OptimizerFactory, resolve_param_groups
from hf_strategies.runs.language_model import sketch_model
from hf_strategies.runs.output_folder import EVENTS
from hf_strategies.runs.process import JOB_STARTED
from hf_strategies.runs.prompts import gap_prompts, split_prompts
from hf_strategies.runs.results import CARD
from hf_strategies.schedulers.value_curves import ValueCurve
from hf_strategies.training import StrategyTrainer
from hf_strategies.training.guard import GuardOptions


class ReportedTrainer(StrategyTrainer):
    """StrategyTrainer that leaves the model card to the run's report: pushing to the Hub must not overwrite it."""

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        if not Path(self.args.output_dir, CARD).is_file():
            super().create_model_card(*args, **kwargs)


def build_trainer(
    arguments: Arguments, args: TrainingArguments, model: PreTrainedModel, text: PreparedText, folder: Path
) -> StrategyTrainer:
    """Put model, data and strategies together.

    Raises:
        UserError: The host refuses something: a reporter that is not installed, a Hub that does not know the user.
    """
    strategy = arguments.strategy
    causal = strategy.objective == "causal"
    optimizer: dict[str, Any] = {}
    if strategy.optimizer is not None:
        rates = {"lr": args.learning_rate, "weight_decay": args.weight_decay, "param_groups": strategy.param_groups}
        hyper = {"name": strategy.optimizer, **rates, **(strategy.optimizer_kwargs or {})}
        optimizer["optimizer_cls_and_kwargs"] = (OptimizerFactory, hyper)
    try:
        trainer = ReportedTrainer(
            model=model,
            args=args,
            train_dataset=text.train,
            eval_dataset=text.validation,
            processing_class=text.tokenizer,
            data_collator=default_data_collator,
            preprocess_logits_for_metrics=next_token_nll if causal else token_nll,
            compute_metrics=partial(score, num_bytes=getattr(text.validation, "num_bytes", None)),
            objective=None if causal else "cross_entropy",  # BERT's and T5's own grows with micro-batches and ranks
            scheduler=strategy.scheduler,
            scheduler_kwargs=strategy.scheduler_kwargs,
            tokens_per_sample=text.validation.block_size,
            clip_grad_value=strategy.clip_grad_value,
            adaptive_clipping=strategy.adaptive_clipping,
            sam_rho=strategy.sam_rho,
            z_loss=strategy.z_loss,
            guard=guard_options(arguments.guard),
            max_broken_share=arguments.data.max_broken_share,
            max_hours=arguments.run.max_hours,
            job_started=JOB_STARTED,
            save_minutes=arguments.run.save_minutes,
            save_at_steps=[int(step) for step in arguments.run.save_at_steps or ()],
            hang_timeout=arguments.run.hang_timeout,
            callbacks=build_callbacks(arguments, text, folder),
            **optimizer,
        )
    except (ImportError, OSError, ValueError) as error:
        raise UserError(first_line(error)) from error
    trainer.remove_callback(PrinterCallback)  # ConsoleCallback prints what it would, to be read
    return trainer


def guard_options(guard: GuardArguments) -> GuardOptions | None:
    """Hand the settings of the step guard to the trainer; None where it is switched off."""
    if not guard.guard:
        return None
    return GuardOptions(
        patience=guard.guard_patience,
        rollbacks=guard.guard_rollbacks,
        snapshot_steps=guard.guard_snapshot_steps,
        lr_scale=guard.guard_lr_scale,
    )


def check_param_groups(arguments: Arguments, args: TrainingArguments, *, block_size: int) -> None:
    """Try the parameter groups on the model's names alone: before data is prepared, which may take hours.

    Raises:
        UserError: They do not fit the model.
    """
    strategy = arguments.strategy
    if strategy.optimizer is None or not strategy.param_groups or arguments.model.trust_remote_code:
        return  # code from the Hub may build its model in a way that only loading follows
    sketch = sketch_model(arguments.model, block_size=block_size, objective=strategy.objective)
    resolve_param_groups(strategy.optimizer, sketch, lr=args.learning_rate, param_groups=strategy.param_groups)


def score(prediction: EvalPrediction, *, num_bytes: float | None) -> dict[str, float]:
    """Adapt `language_modeling_metrics` to Trainer's `compute_metrics`."""
    return language_modeling_metrics(prediction.predictions, num_bytes=num_bytes)


def build_callbacks(arguments: Arguments, text: PreparedText, folder: Path) -> list[TrainerCallback]:
    """The callbacks of every pretraining run."""
    events = folder / EVENTS
    callbacks: list[TrainerCallback] = [
        ThroughputCallback(),
        ParameterGroupsCallback(),
        ConsoleCallback(),
        EventLogCallback(events),
    ]
    trunk = arguments.strategy.cooldown_from  # whose curves its branch goes on with
    spans = {
        "tokens_per_sample": text.validation.block_size,
        "num_training_steps": read_trunk_state(Path(trunk)).planned if trunk else None,
    }
    for name, written in (arguments.strategy.hyperparameter_curves or {}).items():
        callbacks.append(HyperparameterCurveCallback(**vars(ValueCurve.from_setting(name, written)), **spans))
    if arguments.run.log_layer_norms:
        callbacks.append(LayerNormsCallback())
    if arguments.run.num_completions:
        callbacks.append(print_samples(arguments, text, event_log=events))
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
