"""Trainer that goes on from a checkpoint of other processes: another number of them, or another way to share."""

from pathlib import Path
from typing import Any

import torch
from torch.distributed.fsdp import FullyShardedDataParallel
from transformers import set_seed
from transformers.trainer_pt_utils import remove_dummy_checkpoint
from transformers.utils import SAFE_WEIGHTS_NAME, WEIGHTS_NAME

from hf_strategies.callbacks.averages_file import holds_averages
from hf_strategies.checkpoints.layout import SHARDED_FSDP, Layout, layout_of
from hf_strategies.checkpoints.resumable import read_state
from hf_strategies.checkpoints.sharded_state import ShardedState
from hf_strategies.checkpoints.training_state import TrainingState
from hf_strategies.checkpoints.whole_state import WholeState
from hf_strategies.checkpoints.zero_state import ZeroState
from hf_strategies.distributed.parallel_sizes import ParallelSizes, asked_parallel_sizes
from hf_strategies.errors import UserError
from hf_strategies.module_tree.names import named_parameters
from hf_strategies.randomness import draw_seed
from hf_strategies.training.host import Host
from hf_strategies.training.new_settings import unwrapped
from hf_strategies.training.taking_over import take_optimizer, take_weights, take_zero, zero_groups

SCHEDULE = "scheduler.pt"


class ReshardingMixin(Host):
    """Take over a checkpoint's state by the names of parameters, where the host's loaders want the same processes.

    They do under ZeRO, and between DDP, FSDP and ZeRO. The weights come in the precision that they were trained in.
    What a step guard and callbacks remember is the whole run's, not a process'. A process' random streams, which
    dropout draws from, cannot be shared out: they begin anew, as a function of (seed, update, process), where the
    number of processes is another. What is drawn for a sample never depends on processes.

    Raises:
        UserError: While training begins: what the checkpoint has fits no other processes (FSDP1, DeepSpeed without
            ZeRO or on NVMe, an average of weights, one of an optimizer's own shapes), or not this model.
    """

    def _prepare_for_training(
        self, max_steps: int, train_dataloader: Any, resume_from_checkpoint: str | None
    ) -> tuple:
        if resume_from_checkpoint is None:
            return super()._prepare_for_training(max_steps, train_dataloader, None)
        there, here = layout_of(Path(resume_from_checkpoint)), self._layout()
        if here.loads(there):
            prepared = super()._prepare_for_training(max_steps, train_dataloader, resume_from_checkpoint)
        else:
            prepared = super()._prepare_for_training(max_steps, train_dataloader, None)
            self._load_optimizer_and_scheduler(resume_from_checkpoint)
            self._load_scaler(resume_from_checkpoint)
        if there != here and self.is_world_process_zero():
            drawn = "" if there.processes == here.processes else "; dropout draws anew"
            name = Path(resume_from_checkpoint).name
            said = "weights, optimizer and place in the data are taken over by"
            print(f"{name} is of {there}: its {said} {here}{drawn}", flush=True)
        return prepared

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        if not self._must_reshard(resume_from_checkpoint):
            super()._load_from_checkpoint(resume_from_checkpoint, model)
        elif not self.is_deepspeed_enabled:  # whose weights come with its optimizer
            take_weights(self.model, self._state_of(resume_from_checkpoint))

    def _load_best_model(self) -> None:
        best = str(self.state.best_model_checkpoint)
        if self._must_reshard(best):
            self._load_from_checkpoint(best)
            if self.is_deepspeed_enabled:
                self._take_over(best)
        else:
            super()._load_best_model()

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is None or not self._must_reshard(checkpoint):
            super()._load_optimizer_and_scheduler(checkpoint)
            return
        if not Path(checkpoint, SCHEDULE).is_file():
            raise UserError(f"{checkpoint} has no {SCHEDULE}: a schedule of DeepSpeed's own stays with its processes")
        self._take_over(checkpoint)
        assert self.lr_scheduler is not None
        self.lr_scheduler.load_state_dict(torch.load(Path(checkpoint, SCHEDULE), weights_only=True))

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        super().save_model(output_dir, _internal_call)
        if self._writes_shards() and self.args.should_save:  # which the host leaves without config and tokenizer
            folder = output_dir or self.args.output_dir
            self._save(folder, state_dict={})
            remove_dummy_checkpoint(True, folder, [WEIGHTS_NAME, SAFE_WEIGHTS_NAME])

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is None or layout_of(Path(checkpoint)).processes == self.args.world_size:
            super()._load_rng_state(checkpoint)
            return
        sizes = self._sizes()
        number = self.args.process_index // (sizes.tensor * sizes.context)  # those draw alike
        set_seed(draw_seed(self.args.seed, self.state.global_step, number, "streams") % 2**32)

    def _layout(self) -> Layout:
        """Return how the processes of this run share what they train."""
        engine, stages = "DDP", 1
        if self.is_fsdp_enabled:
            engine = SHARDED_FSDP if self._writes_shards() else "FSDP"
        elif self.is_deepspeed_enabled:
            stage = self.accelerator.state.deepspeed_plugin.zero_stage
            engine, stages = f"ZeRO-{stage}" if stage else "DeepSpeed", self._sizes().pipeline
        return Layout(engine, max(self.args.world_size, 1), stages)

    def _writes_shards(self) -> bool:
        return self.is_fsdp_enabled and "SHARDED" in str(self.accelerator.state.fsdp_plugin.state_dict_type)

    def _sizes(self) -> ParallelSizes:
        plugin = self.accelerator.state.deepspeed_plugin
        return asked_parallel_sizes(None if plugin is None else plugin.deepspeed_config)

    def _must_reshard(self, checkpoint: str) -> bool:
        return not self._layout().loads(layout_of(Path(checkpoint)))

    def _take_over(self, checkpoint: str) -> None:
        """Give weights, as far as they are not loaded before, and optimizer the state of a checkpoint."""
        state = self._state_of(checkpoint)
        if not self.is_deepspeed_enabled:
            if self.is_fsdp_enabled:  # which the host loads once it is sharded
                take_weights(self.model, state)
            take_optimizer(unwrapped(self.optimizer), self._names(), state)
            return
        engine = self.model_wrapped
        take_weights(self.model, state, trained=False)
        take_zero(engine.optimizer, self._names(), state)
        engine.global_steps = read_state(Path(checkpoint))["global_step"]
        engine.global_samples = engine.global_steps * engine.train_batch_size()

    def _state_of(self, checkpoint: str) -> TrainingState:
        folder = Path(checkpoint)
        engine = layout_of(folder).engine
        here = self._layout()
        said = f"{checkpoint} is of {layout_of(folder)}, this run of {here}"
        if holds_averages(folder):
            raise UserError(
                f"{said}: an average of weights goes on only as it was shared; start a new run from it instead "
                "(python -m hf_strategies convert)"
            )
        if "DeepSpeed" in (engine, here.engine):
            raise UserError(f"{said}: DeepSpeed without ZeRO goes on only where it began; ZeRO-1 goes on anywhere")
        if isinstance(self.model, FullyShardedDataParallel):
            raise UserError(f"{said}: FSDP1 goes on only where it began; FSDP2 goes on anywhere")
        if engine.startswith("ZeRO"):
            return ZeroState(folder)
        if engine == SHARDED_FSDP:
            return ShardedState(folder)
        if here.stages > 1:
            raise UserError(f"{said}: stages go on from ZeRO's checkpoints; train one update with ZeRO-1 in between")
        names = self._names()
        if self.is_deepspeed_enabled:
            groups = zero_groups(self.model_wrapped.optimizer)
        else:  # where the weights alone are asked for there may be no optimizer yet
            groups = [group["params"] for group in getattr(self.optimizer, "param_groups", [])]
        return WholeState(folder, [[names[id(param)] for param in group] for group in groups])

    def _names(self) -> dict[int, str]:
        return {id(param): name for name, param in named_parameters(self.model).items()}
