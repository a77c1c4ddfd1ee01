"""Trainer that goes on from a checkpoint only where it is whole, harmless, complete, and fits."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from safetensors import SafetensorError
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from transformers.trainer_utils import TrainOutput

from hf_strategies.checkpoints.choice import checkpoints_in, newest_whole
from hf_strategies.checkpoints.manifest import FILE_NAME as MANIFEST
from hf_strategies.checkpoints.manifest import damages, read_manifest
from hf_strategies.checkpoints.resumable import check_resumable
from hf_strategies.checkpoints.trust import refuse_untrusted
from hf_strategies.distributed.agreement import decide_together
from hf_strategies.errors import UserError, first_line
from hf_strategies.training.host import Host
from hf_strategies.training.new_settings import take_settings, unwrapped


class ResumingMixin(Host):
    """Look at a checkpoint before anything of it is loaded, and refuse in one line what a run cannot go on from.

    `resume_from_checkpoint=True` takes the newest checkpoint in the output folder that verifies, and sets damaged ones
    aside; where none has a manifest they are a plain Trainer's, whose choice it then is. A path is verified where
    there is a manifest, unless `is_verified` says that this has just been done. `changed_settings` are names of
    settings whose values are to be this run's, and not the checkpoint's, in its optimizer and schedule.

    Raises:
        UserError: While training begins: the checkpoint is damaged, not to be trusted, incomplete, or another model's
            or optimizer's.
        NoCheckpointError: None in the folder is whole.
    """

    changed_settings: Collection[str] = ()
    is_verified = False
    _built: list[dict[str, Any]]

    def train(self, resume_from_checkpoint: str | bool | None = None, *args: Any, **kwargs: Any) -> TrainOutput:
        chosen = resume_from_checkpoint and decide_together(lambda: self._choose(resume_from_checkpoint))
        return super().train(chosen, *args, **kwargs)

    def create_scheduler(self, num_training_steps: int, optimizer: Optimizer | None = None) -> LRScheduler:
        scheduler = super().create_scheduler(num_training_steps, optimizer)
        groups = (self.optimizer if optimizer is None else optimizer).param_groups
        self._built = [{**group, "params": None} for group in groups]  # before DeepSpeed's engine loads its own
        return scheduler

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        with _in_a_line(resume_from_checkpoint):
            super()._load_from_checkpoint(resume_from_checkpoint, model)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is None:
            return
        theirs, ours = (read_manifest(Path(checkpoint)) or {}).get("optimizer"), self._optimizer_class()
        if theirs not in (None, ours):
            raise UserError(f"{checkpoint} does not fit this run: its optimizer is {theirs}, this one's {ours}")
        with _in_a_line(checkpoint):
            super()._load_optimizer_and_scheduler(checkpoint)
        if self.changed_settings:
            take_settings(self.optimizer, self.lr_scheduler, self._built, self.changed_settings)

    def _load_scaler(self, checkpoint: str | None) -> None:
        if self.accelerator.scaler is not None:  # the checkpoint may be of a run in fp16
            with _in_a_line(checkpoint):
                super()._load_scaler(checkpoint)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        with _in_a_line(checkpoint):
            super()._load_rng_state(checkpoint)

    def _optimizer_class(self) -> str:
        return type(unwrapped(self.optimizer)).__name__

    def _choose(self, asked: str | bool) -> str | bool:
        """Return the path of the checkpoint to go on from, or True where the host is to choose it."""
        is_verified = self.is_verified
        if asked is True:
            run = Path(self.args.output_dir)
            checkpoints = checkpoints_in(run)
            if checkpoints and not any((checkpoint / MANIFEST).is_file() for checkpoint in checkpoints):
                return True
            newest = newest_whole(run, warn=lambda line: print(f"WARNING   {line}", flush=True))
            if newest is None:
                return True  # the host says that there is none
            asked, is_verified = str(newest), True
        checkpoint = Path(str(asked))
        refuse_untrusted(checkpoint, trust_remote_code=True)  # resuming imports nothing from it
        check_resumable(checkpoint)
        if not is_verified and read_manifest(checkpoint) is not None and (found := damages(checkpoint)):
            raise UserError("\n".join(found))
        return str(checkpoint)


@contextmanager
def _in_a_line(checkpoint: str | None) -> Iterator[None]:
    """Say in a line what libraries say over a page: a pickle is more than tensors, or something does not fit."""
    try:
        yield
    except UserError:
        raise
    except (UnpicklingError, SafetensorError) as error:
        raise UserError(
            f"{checkpoint} is not loaded: one of its files is damaged, or would run code ({first_line(error)[:100]})"
        ) from error
    except (KeyError, ValueError) as error:  # of an optimizer's groups, of a schedule's state
        raise UserError(f"{checkpoint} does not fit this run: {first_line(error)}") from error
    except RuntimeError as error:
        said, *mismatches = str(error).strip().splitlines()
        if "loading state_dict" not in said:
            raise
        raise UserError(f"{checkpoint} does not fit this model: {' '.join(mismatches)[:200].strip()}") from error
