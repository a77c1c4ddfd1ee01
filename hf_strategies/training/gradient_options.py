"""What may be done to gradients besides the host's clipping by norm, and where it cannot be."""

from dataclasses import dataclass

from transformers import Trainer

from hf_strategies.errors import UserError
from hf_strategies.ranges import POSITIVE, SAM_RHO

HOSTS_MAX_GRAD_NORM = 1.0  # its default: nobody may have chosen it


@dataclass(frozen=True)
class GradientOptions:
    """Settings of a run that change its gradients.

    Args:
        clip_grad_value: Largest absolute value of a gradient's element; above 0.
        adaptive_clipping: Largest norm of a unit's gradient as a share of its weights' norm; above 0.
        sam_rho: Length of sharpness-aware minimisation's step uphill; above 0, at most 10.
        fgm_epsilon: Length of the step by which an example's embeddings go uphill; above 0.

    Raises:
        UserError: A value is out of range, or both kinds of clipping are asked for.
    """

    clip_grad_value: float | None = None
    adaptive_clipping: float | None = None
    sam_rho: float | None = None
    fgm_epsilon: float | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            holds, expected = SAM_RHO if name == "sam_rho" else POSITIVE
            if value is not None and not holds(value):
                raise UserError(f"{name} must be {expected}, got {value!r}")
        if self.clip_grad_value is not None and self.adaptive_clipping is not None:
            raise UserError("clip_grad_value and adaptive_clipping cannot both be given; choose one")

    def clips(self) -> bool:
        """Tell whether these clip in the place of the host's `max_grad_norm`."""
        return self.clip_grad_value is not None or self.adaptive_clipping is not None

    def check_host(self, max_grad_norm: float, sharding: str | None) -> None:
        """Refuse a run in which these would have no effect, or a wrong one.

        Args:
            max_grad_norm: The host's own clipping.
            sharding: As `sharding_of` calls it.

        Raises:
            UserError: The run clips in its own way, or shards what must be whole.
        """
        clipping = "clip_grad_value" if self.clip_grad_value is not None else "adaptive_clipping"
        if self.clips() and max_grad_norm not in (0, HOSTS_MAX_GRAD_NORM):
            raise UserError(f"{clipping} and max_grad_norm cannot both be given; choose one")
        if self.clips() and sharding == "DeepSpeed":
            raise UserError(f"{clipping} has no effect under DeepSpeed, which clips by itself: set max_grad_norm")
        if self.adaptive_clipping is not None and sharding == "FSDP1":
            raise UserError(
                "adaptive_clipping needs whole tensors, got FSDP1's flat shards: use FSDP2 or max_grad_norm"
            )
        if self.sam_rho is not None and sharding is not None:
            raise UserError(
                f"sam_rho needs whole weights on each rank, got {sharding}'s shards: use one device or DDP"
            )
        if self.fgm_epsilon is not None and sharding == "DeepSpeed":
            raise UserError("fgm_epsilon takes two backward passes, and DeepSpeed steps within the first: use DDP")


def sharding_of(trainer: Trainer) -> str | None:
    """Name what takes the weights apart in this run, or None where every rank has all of them."""
    if trainer.is_deepspeed_enabled:
        return "DeepSpeed"
    if trainer.is_fsdp_enabled:
        return f"FSDP{trainer.accelerator.state.fsdp_plugin.fsdp_version}"
    return None
