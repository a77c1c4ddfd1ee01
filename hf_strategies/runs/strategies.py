"""From arguments to what StrategyTrainer is built with, whatever the job."""

from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainingArguments

from hf_strategies.arguments import Arguments
from hf_strategies.arguments.cooldown import read_trunk_state
from hf_strategies.arguments.topics import GuardArguments
from hf_strategies.callbacks.console import ConsoleCallback
from hf_strategies.callbacks.event_log import EventLogCallback
from hf_strategies.callbacks.hyperparameter_curve import HyperparameterCurveCallback
from hf_strategies.callbacks.layer_norms import LayerNormsCallback
from hf_strategies.callbacks.parameter_groups import ParameterGroupsCallback
from hf_strategies.callbacks.throughput import ThroughputCallback
from hf_strategies.optimizers import OptimizerFactory
from hf_strategies.runs.output_folder import EVENTS
from hf_strategies.runs.process import JOB_STARTED
from hf_strategies.runs.results import CARD
from hf_strategies.schedulers.value_curves import ValueCurve
from hf_strategies.training import StrategyMixin
from hf_strategies.training.guard import GuardOptions


class ReportedMixin(StrategyMixin):
    """StrategyMixin that leaves the model card to the run's report: pushing to the Hub must not overwrite it."""

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        if not Path(self.args.output_dir, CARD).is_file():
            super().create_model_card(*args, **kwargs)


def strategies(arguments: Arguments, args: TrainingArguments, *, tokens_per_sample: int | None) -> dict[str, Any]:
    """Hand the settings of every job to the trainer, by the names of its constructor."""
    strategy, run = arguments.strategy, arguments.run
    optimizer: dict[str, Any] = {}
    if strategy.optimizer is not None:
        rates = {"lr": args.learning_rate, "weight_decay": args.weight_decay, "param_groups": strategy.param_groups}
        hyper = {"name": strategy.optimizer, **rates, **(strategy.optimizer_kwargs or {})}
        optimizer["optimizer_cls_and_kwargs"] = (OptimizerFactory, hyper)
    return {
        "scheduler": strategy.scheduler,
        "scheduler_kwargs": strategy.scheduler_kwargs,
        "tokens_per_sample": tokens_per_sample,
        "clip_grad_value": strategy.clip_grad_value,
        "adaptive_clipping": strategy.adaptive_clipping,
        "sam_rho": strategy.sam_rho,
        "z_loss": strategy.z_loss,
        "guard": guard_options(arguments.guard),
        "max_broken_share": arguments.data.max_broken_share,
        "max_hours": run.max_hours,
        "job_started": JOB_STARTED,
        "save_minutes": run.save_minutes,
        "save_at_steps": [int(step) for step in run.save_at_steps or ()],
        "hang_timeout": run.hang_timeout,
        **optimizer,
    }


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


def usual_callbacks(arguments: Arguments, folder: Path, *, tokens_per_sample: int | None) -> list[TrainerCallback]:
    """The callbacks of every run."""
    callbacks: list[TrainerCallback] = [
        ThroughputCallback(),
        ParameterGroupsCallback(),
        ConsoleCallback(),
        EventLogCallback(folder / EVENTS),
    ]
    trunk = arguments.strategy.cooldown_from  # whose curves its branch goes on with
    spans: dict[str, Any] = {
        "tokens_per_sample": tokens_per_sample,
        "num_training_steps": read_trunk_state(Path(trunk)).planned if trunk else None,
    }
    for name, written in (arguments.strategy.hyperparameter_curves or {}).items():
        callbacks.append(HyperparameterCurveCallback(**vars(ValueCurve.from_setting(name, written)), **spans))
    if arguments.run.log_layer_norms:
        callbacks.append(LayerNormsCallback())
    return callbacks
