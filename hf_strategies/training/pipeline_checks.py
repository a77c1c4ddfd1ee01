"""What cannot be had in a pipeline, told before anything is split."""

from collections.abc import Mapping
from typing import Any

from transformers import Trainer

from hf_strategies.callbacks.weight_averaging import WeightAveragingCallback
from hf_strategies.errors import UserError
from hf_strategies.optimizers import OPTIMIZERS, OptimizerFactory


def check_pipeline(trainer: Trainer, settings: Mapping[str, Any]) -> None:
    """Refuse what needs a whole model, or another engine.

    Args:
        trainer: As its constructor has left it.
        settings: DeepSpeed's.

    Raises:
        UserError: Something does not go with a pipeline.
    """
    stage = (settings.get("zero_optimization") or {}).get("stage", 0)
    if stage != 1:
        raise UserError(
            f"pipelines train with ZeRO stage 1, got {stage}: set zero_optimization.stage of DeepSpeed's file to 1 "
            "(without ZeRO, DeepSpeed clips by the gradient of the first stage alone; 2 and 3 do not work with stages)"
        )
    made_by = trainer.optimizer_cls_and_kwargs
    if made_by is not None and made_by[0] is OptimizerFactory:
        name = made_by[1]["name"]
        if not OPTIMIZERS[name].facts["elementwise"]:
            fitting = [
                entry.name for entry in OPTIMIZERS if entry.facts["elementwise"] and "package" not in entry.facts
            ]
            raise UserError(
                f"optimizer {name} needs whole tensors, and pipelines give ZeRO's flat shards to it: take "
                f"{' or '.join(fitting)}"
            )
    if any(isinstance(callback, WeightAveragingCallback) for callback in trainer.callback_handler.callbacks):
        raise UserError(
            "averaging needs all weights on each rank, and pipelines spread them over stages: use DDP or ZeRO"
        )
    if getattr(trainer, "r_drop", None):
        raise UserError(
            "r_drop passes twice through the whole model, and a pipeline's last stage is only its end: use DDP"
        )
