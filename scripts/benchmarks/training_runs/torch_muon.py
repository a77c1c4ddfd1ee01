"""scripts/pretrain.py with one more optimizer by name: torch.optim.Muon and torch.optim.AdamW, as torch has them."""

import runpy
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from hf_strategies.optimizers import OPTIMIZERS

SCRIPT = Path(__file__).parents[2] / "pretrain.py"


class TorchMuon(torch.optim.Optimizer):
    """torch's Muon over the groups tagged `matrix` and torch's AdamW over the others, as the one that a trainer knows.

    Muon's updates are given the size of AdamW's, which is what lets both share a rate.

    Args:
        groups: Parameter groups.
        lr: Learning rate of groups without their own.
    """

    def __init__(self, groups: list[dict], lr: float) -> None:
        tagged = [(group["matrix"], _known_to_torch(group)) for group in groups]
        self._muon = torch.optim.Muon(
            [group for is_matrix, group in tagged if is_matrix], lr=lr, adjust_lr_fn="match_rms_adamw"
        )
        self._adamw = torch.optim.AdamW(
            [group for is_matrix, group in tagged if not is_matrix], lr=lr, betas=(0.9, 0.95), fused=True
        )
        super().__init__([*self._muon.param_groups, *self._adamw.param_groups], {})

    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        with torch.enable_grad():
            loss = None if closure is None else closure()
        # Schedules write to the groups of this optimizer, which loading a state dict replaces.
        split = len(self._muon.param_groups)
        self._muon.param_groups, self._adamw.param_groups = self.param_groups[:split], self.param_groups[split:]
        self._muon.step()
        self._adamw.step()
        return loss


def _known_to_torch(group: dict) -> dict:
    return {name: group[name] for name in ("params", "lr", "weight_decay") if name in group}


def shelve() -> None:
    """Let this process know `torch_muon`."""
    if "torch_muon" not in OPTIMIZERS:
        OPTIMIZERS.add(
            "torch_muon",
            TorchMuon,
            summary="torch.optim.Muon for hidden matrices, torch.optim.AdamW for the rest",
            hyperparameters=(),
            elementwise=False,
            matrix_half=True,
        )


if __name__ == "__main__":
    shelve()
    runpy.run_path(str(SCRIPT), run_name="__main__")
