"""Trainer that finds out together whether a disk has taken what its ranks wrote."""

from collections.abc import Callable
from typing import Any

import torch

from hf_strategies.checkpoints.write_errors import is_write_error
from hf_strategies.errors import first_line
from hf_strategies.training.host import Host


class AttemptingMixin(Host):
    """Keep a disk's errors until all ranks have written their part: a rank that fell out would leave them waiting."""

    _write_error: BaseException | None = None

    def _attempt(self, write: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Write, and only remember a disk's error."""
        try:
            write(*args, **kwargs)
        except BaseException as error:  # torch's own of a sharded save is no Exception
            if not is_write_error(error):
                raise
            self._write_error = self._write_error or error

    def _any_failed(self) -> bool:
        """Agree whether a write has failed on any rank since `_write_error` was cleared."""
        failed = torch.tensor(float(self._write_error is not None), device=self.args.device)
        return bool(self.accelerator.reduce(failed, reduction="sum").item())

    def _failure(self) -> str:
        return "another rank could not write" if self._write_error is None else first_line(self._write_error)

    def _warn(self, line: str) -> None:
        if self.is_world_process_zero():
            print(f"WARNING   {line}", flush=True)
