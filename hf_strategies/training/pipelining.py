"""Trainer whose model is spread over the stages of a pipeline."""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from accelerate.utils import find_batch_size, recursively_apply, send_to_device
from accelerate.utils.deepspeed import DeepSpeedEngineWrapper, DeepSpeedOptimizerWrapper
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader
from transformers.trainer import TRAINING_ARGS_NAME

from hf_strategies.distributed.pipeline.place import asked_place
from hf_strategies.distributed.pipeline.weights import is_here, save_stages
from hf_strategies.errors import UserError
from hf_strategies.training.host import Host
from hf_strategies.training.pipeline import Pipeline, resolved_settings
from hf_strategies.training.pipeline_checks import check_pipeline
from hf_strategies.training.pipeline_weights import read_stage

IGNORED = -100


class PipeliningMixin(Host):
    """Train a causal language model in stages, each on processes of its own, where DeepSpeed's settings ask for it.

    The micro-batches of an update are its accumulation: they wait until the last of them is there, and pass through
    the stages one behind the other. To the host, the stages of a pipeline are what tensor-parallel ranks are to it:
    processes that see the same samples. `self.model` stays the host's, with the weights of other stages on the meta
    device; each stage calls its own blocks, and the last one computes the loss as any trainer would.

    Raises:
        UserError: The model cannot be split like this, or something that is asked for needs all of it.
    """

    inputs_of_loss: tuple[str, ...] = ()  # what `compute_loss` takes from a batch, and no model
    preprocess_logits_for_metrics: Any
    _pipeline: Pipeline | None = None
    _shown: Tensor | None = None  # of an evaluation step, by the objective

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waiting: list[tuple[dict[str, Any], Any]] = []  # micro-batches, and the items of their update
        self._found: tuple[Tensor, Tensor] | None = None  # loss and logits of an evaluation step, on the last stage
        if not self.is_deepspeed_enabled:
            return
        settings = self.accelerator.state.deepspeed_plugin.deepspeed_config
        place = asked_place(settings, rank=self.args.process_index)
        if place is not None:
            check_pipeline(self, settings)
            self._pipeline = Pipeline(self.model, place, settings, load=self._load_stage)
            self.accelerator.dataloader_config.dispatch_batches = False  # each process reads what is its own

    @property
    def num_stages(self) -> int:
        """Stages that the model is spread over; 1 without a pipeline."""
        return 1 if self._pipeline is None else self._pipeline.place.stages

    @property
    def _replica(self) -> tuple[int, int]:
        """Return which replica of the data this process sees, and how many there are."""
        if self._pipeline is not None:
            return self._pipeline.place.replica, self._pipeline.place.replicas
        shared = self.get_tp_size() * self.get_cp_size() * self.get_sp_size()
        return self.args.process_index // shared, self.args.world_size // shared

    def get_tp_size(self) -> int:
        return super().get_tp_size() * self.num_stages

    def _get_dataloader(self, *args: Any, **kwargs: Any) -> DataLoader:
        loader = super()._get_dataloader(*args, **kwargs)
        if self._pipeline is not None:
            place = self._pipeline.place
            for part in (loader.batch_sampler, loader.dataset):
                if hasattr(part, "process_index"):  # what accelerate deals batches or samples out by
                    part.num_processes, part.process_index = place.replicas, place.replica
                if place.replicas == 1 and hasattr(part, "even_batches"):
                    part.even_batches = False  # as in a single process, where no last batch is filled up
        return loader

    def create_optimizer(self, model: nn.Module | None = None) -> Optimizer:
        if self._pipeline is None:
            return super().create_optimizer(model)
        elsewhere = [param for param in self.model.parameters() if param.requires_grad and not is_here(param)]
        for param in elsewhere:
            param.requires_grad_(False)
        try:
            return super().create_optimizer(model)
        finally:
            for param in elsewhere:
                param.requires_grad_(True)

    def _wrap_model(self, model: nn.Module, training: bool = True, dataloader: Any = None) -> nn.Module:
        if self._pipeline is None:
            return super()._wrap_model(model, training, dataloader)
        if training or self._pipeline.engine is None:
            self._start_pipeline(self.optimizer if training else None)
        return self._pipeline.engine

    def _start_pipeline(self, optimizer: Any) -> None:
        assert self._pipeline is not None
        settings = resolved_settings(
            self.accelerator.state.deepspeed_plugin.deepspeed_config,
            micro_batch=self._train_batch_size,
            accumulation=self.args.gradient_accumulation_steps,
            replicas=self._pipeline.place.replicas,
        )
        self._pipeline.start(settings, optimizer, loss=self._loss_of_stage)
        engine = self._pipeline.engine
        self.deepspeed = engine
        self.accelerator.deepspeed_engine_wrapped = DeepSpeedEngineWrapper(engine)
        self.accelerator._models.append(engine)
        if optimizer is not None:
            self.optimizer = DeepSpeedOptimizerWrapper(engine.optimizer)
            self.accelerator._optimizers.append(self.optimizer)

    def training_step(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Tensor | int | None = None
    ) -> Tensor:
        if self._pipeline is None:
            return super().training_step(model, inputs, num_items_in_batch)
        inputs = self._prepare_inputs(inputs)
        self._show_hooks(inputs)
        self._waiting.append((inputs, num_items_in_batch))
        if not self.accelerator.sync_gradients:
            return torch.zeros((), device=self.args.device)
        if callable(getattr(self.optimizer, "train", None)):  # as the host does: a schedule-free one has two modes
            self.optimizer.train()
        try:
            loss = self._pipeline.train([self._inputs_of_model(inputs) for inputs, _ in self._waiting])
        finally:
            self._waiting = []
        return loss.detach().to(self.args.device)

    def _loss_of_stage(self, tail: nn.Module, hidden: Tensor, number: int) -> Tensor:
        """Compute the loss of a micro-batch on the last stage, by whatever computes it in any run."""
        inputs, num_items = self._waiting[number]
        inputs = {**inputs, "inputs_embeds": hidden}
        if not tail.training:
            loss, outputs = self.compute_loss(tail, inputs, return_outputs=True, num_items_in_batch=num_items)
            self._found = loss.detach(), outputs["logits"]
            return loss
        loss = self.compute_loss(tail, inputs, num_items_in_batch=num_items)
        scaled = (self.model_accepts_loss_kwargs and num_items is not None) or self.compute_loss_func is not None
        return loss if scaled else loss / len(self._waiting)

    def _inputs_of_model(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in inputs.items() if name not in self.inputs_of_loss}

    def _show_hooks(self, inputs: dict[str, Any]) -> None:
        """Let those who watch the model's inputs see them: no stage calls the whole of it."""
        self.model.__dict__["forward"] = lambda **_: None
        try:
            self.model.train()
            self.model(**inputs)
        finally:
            del self.model.__dict__["forward"]

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> Any:
        if self._pipeline is None:
            return super().evaluation_loop(*args, **kwargs)
        if self._pipeline.engine is None:
            self._start_pipeline(None)
        self.model.eval()  # for those who ask; the host's loop sees to the engine's modules
        self._reduce, self.preprocess_logits_for_metrics = self.preprocess_logits_for_metrics, None
        self.gather_function = self._gather_from_replicas
        try:
            return super().evaluation_loop(*args, **kwargs)
        finally:
            self.preprocess_logits_for_metrics = self._reduce

    def prediction_step(
        self, model: nn.Module, inputs: dict[str, Any], prediction_loss_only: bool, *args: Any, **kwargs: Any
    ) -> tuple:
        """Evaluate a batch; what is made of its logits is made where they are, on the last stage, and told to all."""
        if self._pipeline is None:
            return super().prediction_step(model, inputs, prediction_loss_only, *args, **kwargs)
        inputs = self._prepare_inputs(inputs)
        if inputs.get("labels") is None:
            raise UserError("a pipeline evaluates batches with labels, and this one has none")
        labels = self.accelerator.pad_across_processes(inputs["labels"], dim=1, pad_index=IGNORED)
        self._waiting = [(inputs, self._get_num_items_in_batch([inputs], self.args.device))]
        self._found = None
        try:
            self._pipeline.evaluate([inputs])
        finally:
            self._waiting = []
        told = None
        if self._found is not None:
            loss, logits = self._found
            predictions = None
            if not prediction_loss_only:
                width = labels.shape[1] - logits.shape[1]
                predictions = F.pad(logits, (0, 0, 0, width), value=IGNORED)
                if self._reduce is not None:
                    predictions = self._reduce(predictions, labels)
            told = send_to_device((loss, predictions, self._shown), "cpu")
        told = self._pipeline.tell_stages(told)
        loss, predictions, self._shown = send_to_device(told, self.args.device)
        return (loss, None, None) if prediction_loss_only else (loss, predictions, labels)

    def _gather_from_replicas(self, found: Any, **_: Any) -> Any:
        """Gather what all stages of a replica have alike, once from each."""
        assert self._pipeline is not None
        replicas = self._pipeline.place.replicas
        rows = find_batch_size(found) * replicas  # the first stage's, which come first
        return recursively_apply(lambda tensor: tensor[:rows], self.accelerator.gather_for_metrics(found))

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """Return this stage's share: the host adds up over all processes."""
        return super().floating_point_ops(inputs) // self.num_stages

    def _track_num_input_tokens(self, inputs: dict[str, Any]) -> None:
        before = self.state.num_input_tokens_seen
        super()._track_num_input_tokens(inputs)
        seen = self.state.num_input_tokens_seen - before  # each stage has counted the same
        self.state.num_input_tokens_seen = before + seen // self.num_stages

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        if self._pipeline is None:
            super().save_model(output_dir, _internal_call)
            return
        folder = Path(output_dir or self.args.output_dir)
        save_stages(self.model, folder, self._pipeline.place, self._pipeline.names)
        if self.args.should_save:
            if self.processing_class is not None:
                self.processing_class.save_pretrained(folder)
            torch.save(self.args, folder / TRAINING_ARGS_NAME)
        if self.args.push_to_hub and not _internal_call:
            self.push_to_hub(commit_message="Model save", revision=self.args.hub_revision)

    def _load_stage(self, folder: Path) -> None:
        assert self._pipeline is not None
        place = self._pipeline.place
        read_stage(self.model, folder, self._pipeline.names[place.stage], place)
