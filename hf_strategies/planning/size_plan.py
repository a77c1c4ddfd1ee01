"""From a budget to a model and its tokens, or from a model to the tokens that it needs."""

import math

from hf_strategies.planning.inference_budget import cheapest_split, lifetime_flops
from hf_strategies.planning.repeated_data import (
    C4,
    NEARLY_FREE_EPOCHS,
    best_split,
    effective_tokens,
    repeated_loss,
)
from hf_strategies.planning.scaling_law import (
    CHINCHILLA,
    FLOPS_PER_TOKEN,
    REFIT,
    TOKENS_PER_PARAMETER,
    ScalingLaw,
    Split,
)
from hf_strategies.planning.size_request import SizeRequest
from hf_strategies.planning.step_law import batch_tokens, is_fitted, learning_rate
from hf_strategies.reports.terminal import format_count, format_number, format_table

HEADERS = ["law", "parameters", "tokens", "tokens per parameter", "training FLOPs", "loss by the refit"]
LITTLE_GAINED_EPOCHS = 16  # about where the law's worth of one more epoch has fallen to a third
LEAST_GAIN = 0.001  # of a loss: what is less is said nothing of


def choose_split(law: ScalingLaw, request: SizeRequest) -> Split:
    """Return what a law makes of what was given; where the model and its tokens both were, these."""
    if request.parameters is not None and request.tokens is not None:
        return Split(request.parameters, request.tokens)
    if request.parameters is not None:
        return law.for_parameters(request.parameters)
    if request.tokens is not None:
        return law.for_tokens(request.tokens)
    assert request.flops is not None  # a request names one of them
    return law.for_flops(request.flops)


def rule_of_thumb(request: SizeRequest) -> Split:
    """Return the split with 20 tokens for each parameter."""
    if request.parameters is not None:
        return Split(request.parameters, request.parameters * TOKENS_PER_PARAMETER)
    if request.tokens is not None:
        return Split(request.tokens / TOKENS_PER_PARAMETER, request.tokens)
    assert request.flops is not None
    parameters = math.sqrt(request.flops / FLOPS_PER_TOKEN / TOKENS_PER_PARAMETER)
    return Split(parameters, parameters * TOKENS_PER_PARAMETER)


def describe_size(request: SizeRequest) -> str:
    """Write a whole plan: what each law says, learning rate and batch, what use and what too little text change."""
    plan = choose_split(REFIT, request)
    budget = f"{plan.flops:.3g} FLOPs" + (f": {request.source}" if request.source else "")
    parts = [f"budget    {budget}", format_table(_rows(request, plan), HEADERS)]
    rate, batch = learning_rate(plan.parameters, plan.tokens), batch_tokens(plan.tokens)
    lines = [
        f"plan      {format_count(plan.parameters)} parameters on {format_count(plan.tokens)} tokens",
        f"step law  AdamW at {rate:.2g} with batches of {format_count(batch)} tokens: "
        f"{plan.tokens / batch:,.0f} updates (its parameters are those without embeddings)",
    ]
    if not is_fitted(plan.parameters, plan.tokens):
        lines.append("          an extrapolation: the law was fitted on 60 M to 1 B parameters, 2 B to 100 B tokens")
    if request.inference_tokens is not None:
        lines += _use_lines(plan, request.inference_tokens)
    if request.data_tokens is not None:
        lines += _data_lines(plan, request.data_tokens)
    return "\n\n".join([*parts, "\n".join(lines)])


def _rows(request: SizeRequest, plan: Split) -> list[list[str]]:
    rows = [("as given", plan)] if request.parameters and request.tokens else []
    alone = request
    if rows:  # beside what was given stands what its budget would best be spent on
        alone = SizeRequest(
            flops=plan.flops, source="", parameters=None, tokens=None, inference_tokens=None, data_tokens=None
        )
    rows += [
        (f"{CHINCHILLA.name}, {REFIT.name} (Besiroglu 2024)", choose_split(REFIT, alone)),
        (f"{CHINCHILLA.name} (Hoffmann 2022)", choose_split(CHINCHILLA, alone)),
        (f"{TOKENS_PER_PARAMETER} tokens per parameter", rule_of_thumb(alone)),
    ]
    return [
        [
            name,
            format_count(split.parameters),
            format_count(split.tokens),
            format_number(round(split.tokens / split.parameters, 1)),
            f"{split.flops:.3g}",
            f"{REFIT.loss(split):.3f}",
        ]
        for name, split in rows
    ]


def _use_lines(plan: Split, inference_tokens: float) -> list[str]:
    """Say which model of the same loss is cheapest to train and to use."""
    cheapest = cheapest_split(REFIT, REFIT.loss(plan), inference_tokens, largest=plan.parameters)
    before, after = lifetime_flops(plan, inference_tokens), lifetime_flops(cheapest, inference_tokens)
    return [
        f"use       {format_count(inference_tokens)} tokens of inference: {format_count(cheapest.parameters)} "
        f"parameters on {format_count(cheapest.tokens)} tokens reach the same loss; training takes "
        f"{cheapest.flops / plan.flops:.2f}x the FLOPs, training and use together {1 - after / before:.0%} less"
    ]


def _data_lines(plan: Split, unique: float) -> list[str]:
    """Say whether there is text enough, what repeating it costs, and what would be the better model then."""
    epochs = plan.tokens / unique
    if epochs <= 1:
        return [f"data      {format_count(unique)} tokens are enough: the plan sees {epochs:.0%} of them"]
    worth = effective_tokens(plan.tokens, unique)
    cost = repeated_loss(plan, unique) - C4.loss(plan)
    better = best_split(plan.flops, unique)
    gain = repeated_loss(plan, unique) - repeated_loss(better, unique)
    lines = [
        f"data      {format_count(unique)} tokens are too few: {epochs:.1f} epochs, worth "
        f"{format_count(worth)} new tokens; repeating costs {cost:.3f} of loss (Muennighoff 2023)"
    ]
    if epochs <= NEARLY_FREE_EPOCHS:
        lines.append(f"          up to {NEARLY_FREE_EPOCHS} epochs are nearly as good as new text")
    elif epochs > LITTLE_GAINED_EPOCHS:
        lines.append("          so many epochs gain little: find more text, or spend less")
    if gain >= LEAST_GAIN and better.parameters < plan.parameters:
        lines.append(
            f"          better for the same FLOPs: {format_count(better.parameters)} parameters for "
            f"{better.tokens / unique:.1f} epochs, {gain:.3f} of loss lower"
        )
    return lines
