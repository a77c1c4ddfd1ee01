"""Trainer that can go back to one of its checkpoints while it trains."""

from pathlib import Path

import torch
from transformers import TrainerState
from transformers.integrations.deepspeed import deepspeed_load_checkpoint
from transformers.trainer import TRAINER_STATE_NAME

from hf_strategies.checkpoints.choice import newest_proven
from hf_strategies.checkpoints.resumable import check_resumable
from hf_strategies.distributed.agreement import decide_together
from hf_strategies.errors import UserError
from hf_strategies.training.continuing import restore_callbacks
from hf_strategies.training.resharding import ReshardingMixin


class ReturningMixin(ReshardingMixin):
    """Load a checkpoint's weights, optimizer, random streams and callbacks into a run that goes on where it is."""

    def _newest_checkpoint(self, run: Path, steps: range) -> Path | None:
        """Return the newest proven checkpoint of those steps, the same on all ranks; what is damaged is set aside."""

        def choose() -> Path | None:
            try:
                newest = newest_proven(run, steps, warn=_warn)
                if newest is not None:
                    check_resumable(newest)
                return newest
            except UserError as error:
                _warn(str(error))
                return None

        return decide_together(choose)

    def _return_to_checkpoint(self, checkpoint: Path) -> None:
        """Take over the state of a checkpoint, the schedule's place and its rates aside."""
        folder = str(checkpoint)
        schedule = self.lr_scheduler.state_dict()
        rates = [{name: group[name] for name in ("lr", "initial_lr") if name in group} for group in self._groups()]
        if self.is_deepspeed_enabled and not self._must_reshard(folder):
            deepspeed_load_checkpoint(self.model_wrapped, folder)
        else:
            self._load_from_checkpoint(folder, self.model_wrapped if self.is_fsdp_enabled else None)
        self._load_optimizer_and_scheduler(folder)
        self._load_scaler(folder)
        self.lr_scheduler.load_state_dict(schedule)
        for group, rate in zip(self._groups(), rates):
            group.update(rate)
        self._load_rng_state(folder)
        kept = TrainerState.load_from_json(str(checkpoint / TRAINER_STATE_NAME)).stateful_callbacks
        restore_callbacks(self.callback_handler.callbacks, kept)

    def _groups(self) -> list[dict]:
        assert isinstance(self.optimizer, torch.optim.Optimizer)
        return self.optimizer.param_groups


def _warn(line: str) -> None:
    print(f"WARNING   {line}", flush=True)
