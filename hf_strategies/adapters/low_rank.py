"""LoRA and its relatives, as configs of peft."""

from typing import Any

from peft import AdaLoraConfig, LoraConfig

from hf_strategies.adapters.placement import Placement
from hf_strategies.errors import UserError


def lora(place: Placement, *, rank: int = 16, alpha: float = 32.0, dropout: float = 0.0) -> LoraConfig:
    """Add `alpha / rank * B A` to each weight, with A `[rank, inputs]` random and B `[outputs, rank]` zero.

    Args:
        place: Where it goes.
        rank: Of the update.
        alpha: Scale of the update; with the same alpha, the best learning rate is about the same at every rank.
        dropout: Share of an adapter's inputs that is dropped, in [0, 1).
    """
    return LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, **_shared(place))


def rslora(place: Placement, *, rank: int = 16, alpha: float = 8.0, dropout: float = 0.0) -> LoraConfig:
    """Scale LoRA's update by `alpha / sqrt(rank)`, which at rank 16 is `lora`'s scale; arguments as for `lora`."""
    return LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, use_rslora=True, **_shared(place))


def dora(place: Placement, *, rank: int = 16, alpha: float = 32.0, dropout: float = 0.0) -> LoraConfig:
    """Train the length of each output's weights apart from their direction, which LoRA moves; as for `lora`."""
    return LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, use_dora=True, **_shared(place))


def pissa(place: Placement, *, rank: int = 16, alpha: float | None = None, dropout: float = 0.0) -> LoraConfig:
    """Start LoRA's factors as the weight's `rank` largest singular directions, which the frozen rest then lacks.

    An exact SVD, not a random one: plain peft repeats it when it loads the adapter, and must come to the same rest.

    Args:
        place: Where it goes.
        rank: Of the update.
        alpha: Scale of the update; None for `rank`, as in the paper.
        dropout: Share of an adapter's inputs that is dropped, in [0, 1).
    """
    return LoraConfig(
        r=rank,
        lora_alpha=rank if alpha is None else alpha,
        lora_dropout=dropout,
        init_lora_weights="pissa",
        **_shared(place),
    )


def adalora(
    place: Placement,
    *,
    target_rank: int = 8,
    initial_rank: int = 12,
    alpha: float = 32.0,
    dropout: float = 0.0,
    orthogonality: float = 0.5,
) -> AdaLoraConfig:
    """Write each update as `P diag(E) Q`, and drop the triplets that matter least until `target_rank` is left.

    `AdaLoraCallback` drops them; without it all are kept.

    Args:
        place: Where it goes.
        target_rank: Mean rank at the end.
        initial_rank: Rank of every layer at the start, above `target_rank`.
        alpha: Scale of the update.
        dropout: Share of an adapter's inputs that is dropped, in [0, 1).
        orthogonality: Weight of the penalty on P and Q that are not orthogonal; it is added to the training loss.

    Raises:
        UserError: There would be nothing to drop.
    """
    if initial_rank <= target_rank:
        raise UserError(f"initial_rank of 'adalora' must be above its target_rank {target_rank}, got {initial_rank}")
    return AdaLoraConfig(
        target_r=target_rank,
        init_r=initial_rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        orth_reg_weight=orthogonality,
        total_step=1,  # peft wants one; the callback knows the run's
        **_shared(place),
    )


def _shared(place: Placement) -> dict[str, Any]:
    return {
        "task_type": place.task_type,
        "target_modules": place.targets,
        "modules_to_save": place.heads or None,
        "fan_in_fan_out": place.transposed,
    }
