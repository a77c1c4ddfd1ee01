"""Trainer whose loss is chosen by name."""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from transformers.loss.loss_utils import LOSS_MAPPING, ForCausalLMLoss
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from hf_strategies.adapters.orthogonality import orthogonality_penalty
from hf_strategies.errors import UserError
from hf_strategies.objectives import OBJECTIVES, check_objective_settings
from hf_strategies.objectives.items import COUNTED, IGNORED, per_item
from hf_strategies.training.host import Host


class ObjectiveMixin(Host):
    """Train on an objective of the shelf in the place of the loss that the model computes, if it computes one.

    It is divided by the number of items (rows, tokens, flags, values) of the whole update, over all ranks and
    micro-batches: 8 samples at once, or 2 at a time in 4 micro-batches, have one and the same gradient. Many models'
    own loss is not: where their code takes `**kwargs` and a mean all the same (classifiers of BERT, DistilBERT and
    Llama, T5, every regression), the host makes it larger by the number of micro-batches and of ranks. Evaluations
    show the objective without settings, so that runs which differ in theirs can be compared: its mean over the items
    of the whole set, and not, as the host's, over the means of batches.

    Args:
        objective: Registered name; None keeps the model's own loss, and the host's `label_smoothing_factor`.
        objective_kwargs: Its settings; `label_smoothing_factor` stands for `label_smoothing` among them.

    Raises:
        UserError: The objective or a setting is unknown or out of range, or the loss is already chosen in another way;
            while training, the model shows no logits or the data no labels.
    """

    compute_loss_func: Any
    label_names: Any
    _is_evaluating = False
    _shown: Tensor | None = None  # what `_evaluate_rows` found in an evaluation's batch

    def __init__(
        self,
        *args: Any,
        objective: str | None = None,
        objective_kwargs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if objective is None and objective_kwargs:
            raise UserError(f"objective_kwargs {objective_kwargs} need the name of an objective, got none")
        if objective is not None:
            check_objective_settings(objective, objective_kwargs or {})
        super().__init__(*args, **kwargs)
        self.objective_name = objective
        self._evaluated_rows: list[Tensor] = []
        self._predicts_next = predicts_next(self.model)
        self._num_virtual = num_virtual_tokens(self.model)
        if objective is None:
            return
        if self.compute_loss_func is not None:
            raise UserError("objective and compute_loss_func cannot both be given; choose one")
        facts, settings = OBJECTIVES[objective].facts, self._with_hosts_smoothing(objective, objective_kwargs or {})
        self._items = facts["items"]
        self._objective = partial(
            OBJECTIVES[objective].build,
            **{
                name: torch.tensor(value, device=self.args.device) if isinstance(value, list | tuple) else value
                for name, value in settings.items()
            },
        )
        self._evaluated = OBJECTIVES[facts["evaluated_by"]].build
        self.compute_loss_func = self._objective_loss
        self.label_names = self.label_names or ["labels"]  # of a model that takes none, the host knows no name

    def _with_hosts_smoothing(self, objective: str, settings: dict[str, Any]) -> dict[str, Any]:
        """Take over the host's label smoothing, which it leaves out where it does not compute the loss."""
        factor = self.args.label_smoothing_factor
        if not factor:
            return settings
        if "label_smoothing" not in OBJECTIVES[objective].facts["hyperparameters"]:
            raise UserError(
                f"label_smoothing_factor {factor} has no place in the objective {objective!r}: leave it out"
            )
        if "label_smoothing" in settings:
            raise UserError(
                "label_smoothing_factor and label_smoothing of objective_kwargs cannot both be given; choose one"
            )
        self.label_smoother = None
        return {**settings, "label_smoothing": factor}

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        if self.objective_name is not None and "labels" in inputs and "decoder_input_ids" not in inputs:
            shift = getattr(self.model, "prepare_decoder_input_ids_from_labels", None)
            if shift is not None:  # the host takes the labels out, from which the model would have made them
                inputs = {**inputs, "decoder_input_ids": shift(labels=inputs["labels"])}
        return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)

    def prediction_step(
        self, model: nn.Module, inputs: dict[str, Any], prediction_loss_only: bool, *args: Any, **kwargs: Any
    ) -> tuple:
        self._is_evaluating, self._shown = True, None
        try:
            found = super().prediction_step(model, inputs, prediction_loss_only, *args, **kwargs)
            own = self.objective_name is not None and not prediction_loss_only and self._generates
            if own and "labels" in inputs:  # the loss is the model's
                found = super().prediction_step(model, inputs, True, *args, **kwargs)[0], *found[1:]
        finally:
            self._is_evaluating = False
        if self._shown is not None:
            self._evaluated_rows.append(self.gather_function(self._shown))  # without those that ranks have twice
        return found

    def evaluation_loop(self, *args: Any, metric_key_prefix: str = "eval", **kwargs: Any) -> Any:
        self._evaluated_rows = []
        output = super().evaluation_loop(*args, metric_key_prefix=metric_key_prefix, **kwargs)
        if self._evaluated_rows:
            total, items = torch.cat(self._evaluated_rows).cpu().double().sum(dim=0).tolist()
            output.metrics[f"{metric_key_prefix}_loss"] = total / max(items, 1.0)
        return output

    def _get_num_items_in_batch(self, batch_samples: list, device: torch.device) -> Tensor | int | None:
        if self.objective_name is None or not batch_samples or "labels" not in batch_samples[0]:
            return super()._get_num_items_in_batch(batch_samples, device)
        # The host counts what is not -100, and adds up over ranks: it is shown one number per item.
        marks = [torch.where(self._counted(self._targets(batch["labels"])), 0, IGNORED) for batch in batch_samples]
        return super()._get_num_items_in_batch([{"labels": mark, "shift_labels": mark} for mark in marks], device)

    def _objective_loss(self, outputs: Any, labels: Tensor | None, num_items_in_batch: Any = None) -> Tensor:
        logits, labels = self._logits(outputs, "objective"), self._labels(labels, "objective")
        sources, targets = self._sources(logits), self._targets(labels)
        if not self._is_evaluating:
            loss = self._objective(sources, targets, num_items=num_items_in_batch)
            return loss + self._penalty(self._counted(targets).sum(), num_items_in_batch)
        rows = self._shown = self._evaluate_rows(sources, targets)
        return per_item(rows[:, 0].sum(), rows[:, 1], num_items_in_batch)

    def _penalty(self, items: Tensor, num_items: Tensor | int | None) -> Tensor | float:
        """Return this batch's share of the adapter's penalty, by its items: the shares of an update add up to one."""
        penalty = orthogonality_penalty(self.model)
        if penalty is None:
            return 0.0
        return penalty if num_items is None else penalty * items / num_items

    def _evaluate_rows(self, sources: Tensor, targets: Tensor) -> Tensor:
        """Sum what evaluations show of each row, and count its items. `[rows, 2]`"""
        rows = []
        for source, target in zip(sources.split(1), targets.split(1), strict=True):
            total = self._evaluated(source, target, num_items=1)
            rows.append(torch.stack([total, self._counted(target).sum().to(total.dtype)]))
        return torch.stack(rows)

    @property
    def _generates(self) -> bool:
        """Tell whether the host's sequence-to-sequence trainer lets the model write, beside a loss of the model's."""
        return getattr(self.args, "predict_with_generate", False)

    def _counted(self, targets: Tensor) -> Tensor:
        return COUNTED[self._items](targets)

    def _logits(self, outputs: Any, asked_by: str) -> Tensor:
        if not isinstance(outputs, dict) or "logits" not in outputs:
            raise UserError(f"{asked_by} needs logits, and {type(self.model).__name__} returns none")
        return outputs["logits"]

    def _labels(self, labels: Tensor | None, asked_by: str) -> Tensor:
        if labels is None:
            raise UserError(f"{asked_by} needs labels, and the batches of the training data have none")
        return labels

    def _sources(self, logits: Tensor) -> Tensor:
        """Leave out the logits that no label is for."""
        return logits[..., self._num_virtual : -1, :] if self._predicts_next else logits

    def _targets(self, labels: Tensor) -> Tensor:
        """Leave out the labels that no logits are for."""
        return labels[..., 1:] if self._predicts_next else labels


def predicts_next(model: nn.Module) -> bool:
    """Tell whether a model's logits at one position are for the label of the next: a causal language model's are."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model  # below PEFT
    if getattr(getattr(inner, "config", None), "is_encoder_decoder", False):
        return False
    named = type(inner).__name__ in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values()
    return named or LOSS_MAPPING.get(getattr(inner, "loss_type", None)) is ForCausalLMLoss


def num_virtual_tokens(model: nn.Module) -> int:
    """Count the tokens that an adapter puts before the input, which a causal language model has logits for too."""
    config = getattr(model, "active_peft_config", None)
    if config is None or not config.is_prompt_learning or config.peft_type == "PREFIX_TUNING":
        return 0  # a prefix is keys and values, and no token
    return config.num_virtual_tokens
