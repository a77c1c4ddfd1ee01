"""The time of an optimizer's step on a 12-layer Llama, beside torch's and pytorch_optimizer's, and the state it keeps.

All contenders step in turn in one process, each on weights of its own with the same gradients, so that what else the
machine does meets them alike. A step's time is the median; a ratio is the median of those within a turn.
"""

import statistics
from typing import TYPE_CHECKING, Any

from . import Findings, Table, require_at_least, require_multiple
from .training_runs.goals import Goal

if TYPE_CHECKING:
    from .timing.optimizer_steps import StepTimes

FUSED, THEIR_LAMB, THEIR_MUON = "torch AdamW, fused", "pytorch_optimizer Lamb", "torch Muon + AdamW, fused"


def run(
    *,
    hidden_size: int = 256,
    num_layers: int = 12,
    vocab_size: int = 12_000,
    num_rounds: int = 40,
    num_warmup_rounds: int = 3,
) -> Findings:
    """Time every contender, one step of each in turn; about a minute on two cores.

    Args:
        hidden_size: Width of the Llama, a multiple of 8; with the defaults it has 12.6 M parameters.
        num_layers: Depth of the Llama.
        vocab_size: Rows of its embeddings, which are tied.
        num_rounds: Steps of each contender.
        num_warmup_rounds: Steps before them that are not timed.

    Returns:
        The goals, and one row for each contender: `step_ms`, `ratio` to torch's fused AdamW, and `state_bytes` per
        parameter.
    """
    require_multiple(8, hidden_size=hidden_size)
    require_at_least(1, num_layers=num_layers, vocab_size=vocab_size, num_rounds=num_rounds)
    require_at_least(0, num_warmup_rounds=num_warmup_rounds)

    from transformers import LlamaConfig

    from .timing.optimizer_steps import time_steps

    config = LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=hidden_size,
        intermediate_size=hidden_size * 43 // 16,
        num_hidden_layers=num_layers,
        num_attention_heads=4,
        tie_word_embeddings=True,
    )
    times = time_steps(config, num_rounds=num_rounds, num_warmup_rounds=num_warmup_rounds)
    goals = Table([goal.row() for goal in goals_of(times)], "goals, as ratios of step times")
    return Findings([goals, Table(rows_of(times))], remarks=[shapes_of(times)])


def goals_of(times: "StepTimes") -> list[Goal]:
    """What our optimizers may take of their peers' time; a peer that is not there sets no goal."""
    aims = [
        ("lamb", FUSED, 2.0),
        ("lamb", THEIR_LAMB, 0.5),
        ("muon", THEIR_MUON, 1.0),
        ("muon", THEIR_MUON, 1 / 1.1 if times.on_cpu else 0.5),
    ]
    return [
        Goal(f"{ours} / {peer}", at_most, [ratio(times, ours, peer)])
        for ours, peer, at_most in aims
        if peer in times.seconds
    ]


def rows_of(times: "StepTimes") -> list[dict[str, Any]]:
    """One row per contender, those that could not be timed last."""
    timed = [
        {
            "optimizer": name,
            "step_ms": 1e3 * statistics.median(seconds),
            "ratio": ratio(times, name, FUSED),
            "state_bytes": times.state_bytes[name],
        }
        for name, seconds in times.seconds.items()
    ]
    return timed + [{"optimizer": name, "note": f"not measured: {why}"} for name, why in times.missing.items()]


def ratio(times: "StepTimes", one: str, other: str) -> float:
    """Time of a contender's step over another's, the median of the turns."""
    pairs = zip(times.seconds[one], times.seconds[other], strict=True)
    return statistics.median(mine / theirs for mine, theirs in pairs)


def shapes_of(times: "StepTimes") -> str:
    """Say how many matrices share a shape: Muon takes those in one batch, which is what a GPU gains by."""
    shapes = ", ".join(f"{count} of {'x'.join(map(str, shape))}" for shape, count in times.matrices.items())
    return f"Matrices of one shape are one batch to muon; here there are {shapes}."
