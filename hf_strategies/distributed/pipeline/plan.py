"""Which parts of a causal language model follow one another, and where they are cut into stages."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from torch import nn
from transformers import PreTrainedModel

from hf_strategies.distributed.pipeline.place import Place
from hf_strategies.errors import UserError

# Models of the host whose configuration declares no plan, though they are as straight as those that do.
OWN_PLANS = {"gpt2": ("wte", "wpe", "drop", "h", "ln_f")}
# Fields of a configuration by which blocks have more in common than hidden states.
MEETING: dict[str, tuple[Callable[[Any], bool], str]] = {
    "kv_sharing_modes": (
        lambda modes: any(mode and "reuse" in mode for mode in modes or ()),
        "blocks share keys and values",
    ),
    "output_router_logits": (bool, "a loss balances the experts of all blocks"),
}
METHODS = "parameters, uniform, or type:REGEX"


@dataclass(frozen=True)
class PipelinePlan:
    """The children of a base model that hidden states pass through, by name, in their order.

    Args:
        before: What makes hidden states of tokens.
        blocks: The list of blocks.
        after: What follows the last block, the head aside.
    """

    before: tuple[str, ...]
    blocks: str
    after: tuple[str, ...]


def causal_lm_of(model: nn.Module) -> PreTrainedModel:
    """Return a model as the host's class made it, below an adapter."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def base_of(model: nn.Module) -> nn.Module:
    """Return what stands below a causal language model's head."""
    inner = causal_lm_of(model)
    return getattr(inner, inner.base_model_prefix)


def pipeline_plan(model: nn.Module) -> PipelinePlan:
    """Read the plan that a model's configuration declares, or take ours.

    Raises:
        UserError: There is none, the model is no causal language model, or it has weights that the plan leaves out.
    """
    inner = causal_lm_of(model)
    config, name = inner.config, type(inner).__name__
    declared = tuple(config.base_model_pp_plan or OWN_PLANS.get(config.model_type, ()))
    if not declared:
        raise UserError(
            f"{name} declares no pipeline plan (base_model_pp_plan) and cannot be split into stages: take an "
            "architecture that has one, transformer_pp or gpt2, a checkpoint of such as llama, qwen3, gpt_neox or "
            "olmo2, or ZeRO"
        )
    if "CausalLM" not in name and not name.endswith("LMHeadModel"):
        raise UserError(f"pipelines train causal language models, got {name}")
    for field, (is_so, what) in MEETING.items():
        if is_so(getattr(config, field, None)):
            raise UserError(f"{name}: {what}, and a pipeline spreads them over stages ({field}): take ZeRO")
    base = base_of(inner)
    lists = [part for part in declared if isinstance(getattr(base, part, None), nn.ModuleList)]
    if len(lists) != 1:
        raise UserError(f"the pipeline plan of {name} names {len(lists)} lists of blocks, expected one")
    cut = declared.index(lists[0])
    unnamed = [part for part, child in base.named_children() if part not in declared and has_weights(child)]
    if unnamed:
        raise UserError(f"{name} has weights that its pipeline plan leaves out ({', '.join(unnamed)}): take ZeRO")
    return PipelinePlan(declared[:cut], lists[0], declared[cut + 1 :])


def has_weights(module: nn.Module) -> bool:
    """Tell whether there is any parameter in a module."""
    return next(module.parameters(), None) is not None


def units_of(model: nn.Module, plan: PipelinePlan) -> list[nn.ModuleList]:
    """List what a model can be cut between: what comes before the blocks, each block, and all that follows them."""
    inner, base = causal_lm_of(model), base_of(model)
    first = nn.ModuleList(getattr(base, name) for name in plan.before)
    blocks = [nn.ModuleList([block]) for block in getattr(base, plan.blocks)]
    head = [child for name, child in inner.named_children() if name != inner.base_model_prefix]
    return [first, *blocks, nn.ModuleList([*(getattr(base, name) for name in plan.after), *head])]


def own_units(model: nn.Module, plan: PipelinePlan, place: Place) -> list[nn.ModuleList]:
    """List the units of a process' stage."""
    units = units_of(model, plan)
    cuts = split_units(units, place.stages, place.partition)
    return units[cuts[place.stage] : cuts[place.stage + 1]]


def split_units(units: list[nn.ModuleList], stages: int, method: str) -> list[int]:
    """Choose where the stages begin: stage i has the units from the i-th number up to the next one.

    Args:
        units: As `units_of` gives them, also of a model on the meta device.
        stages: Number of stages.
        method: DeepSpeed's `pipeline.partition`: "parameters" (or "best") makes the largest stage as small as can be,
            "uniform" counts units, "type:REGEX" counts those whose block's class matches.

    Returns:
        `stages` + 1 numbers, the first of them 0. Each stage has at least one block.

    Raises:
        UserError: There are more stages than blocks, or the method is unknown or matches nothing.
    """
    num_blocks = len(units) - 2
    if stages > num_blocks:
        raise UserError(
            f"{stages} stages need a model of at least as many layers, got {num_blocks}: lower pipeline.stages of "
            "DeepSpeed's file, or take a deeper model"
        )
    weights = _weights(units, method.lower())
    best: list[tuple[float, list[int]]] = [(0.0, [0])]  # of the first n units in k stages: largest stage, its cuts
    total = [sum(weights[:n]) for n in range(len(units) + 1)]
    table = {(0, 0): best[0]}
    for k in range(1, stages + 1):
        for n in range(1, len(units) + 1):
            found = [
                (max(table[j, k - 1][0], total[n] - total[j]), [*table[j, k - 1][1], n])
                for j in range(n)
                if (j, k - 1) in table and _has_block(j, n, num_blocks)
            ]
            if found:
                table[n, k] = min(found, key=lambda choice: (choice[0], _spread(choice[1], total)))
    return table[len(units), stages][1]


def _has_block(start: int, stop: int, num_blocks: int) -> bool:
    return max(start, 1) < min(stop, num_blocks + 1)


def _spread(cuts: list[int], total: list[float]) -> float:
    """Return by how much stages differ in weight."""
    sizes = [total[stop] - total[start] for start, stop in pairwise(cuts)]
    return max(sizes) - min(sizes)


def _weights(units: list[nn.ModuleList], method: str) -> list[float]:
    if method in ("parameters", "best"):
        return [float(sum(param.numel() for param in unit.parameters())) for unit in units]
    if method == "uniform":
        return [1.0] * len(units)
    kind, _, pattern = method.partition(":")
    if kind != "type" or not pattern:
        raise UserError(f"pipeline.partition must be {METHODS}, got {method!r}")
    try:
        matches = [float(bool(re.search(pattern, type(unit[0]).__name__, re.IGNORECASE))) for unit in units]
    except re.error as error:
        raise UserError(f"pipeline.partition: {pattern!r} is no regular expression: {error}") from error
    if not any(matches):
        known = sorted({type(unit[0]).__name__ for unit in units})
        raise UserError(f"pipeline.partition: no layer's class matches {pattern!r} (there are: {', '.join(known)})")
    return matches
