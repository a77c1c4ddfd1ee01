"""Mamba's and RWKV's recurrences in plain torch at a cost that grows as a row does, where no kernels are installed.

The host's loops take a slice of one tensor at every token, whose gradient is as large as all of that tensor: training
on a row then costs the square of its length. What is computed here is the same, to rounding.
"""

import importlib.util
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel
from transformers.models.mamba.modeling_mamba import MambaMixer
from transformers.models.rwkv.modeling_rwkv import RwkvSelfAttention


def use_plain_scans(model: PreTrainedModel) -> None:
    """Let the layers of a Mamba or an RWKV scan whole rows by this module, unless kernels would.

    The layers stay the host's, and do their own where they go on from a state, on a GPU with RWKV's kernel, or under
    torch.compile.
    """
    for module in model.modules():
        if type(module) is MambaMixer and importlib.util.find_spec("mamba_ssm") is None:
            module.forward = partial(_mamba, module)
        elif type(module) is RwkvSelfAttention:
            module.forward = partial(_rwkv, module)


def recur(decay: Tensor, inputs: Tensor) -> Tensor:
    """Return the states `state[t] = decay[t] * state[t - 1] + inputs[t]`, all of them `[tokens, ...]`, from zero."""
    return _Recurrence.apply(decay, inputs)


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, decay: Tensor, inputs: Tensor) -> Tensor:
        states = inputs.clone()
        for t in range(1, len(states)):
            states[t].addcmul_(decay[t], states[t - 1])
        ctx.save_for_backward(decay, states)
        return states

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        decay, states = ctx.saved_tensors
        of_states = gradient.clone(memory_format=torch.contiguous_format)
        for t in range(len(states) - 1, 0, -1):
            of_states[t - 1].addcmul_(decay[t], of_states[t])
        of_decay = torch.zeros_like(decay)
        torch.mul(of_states[1:], states[:-1], out=of_decay[1:])
        return of_decay, of_states


def selective_scan(signal: Tensor, steps: Tensor, rates: Tensor, write: Tensor, read: Tensor) -> Tensor:
    """Scan as Mamba does (https://arxiv.org/abs/2312.00752, algorithm 2), `[rows, tokens, channels]`, in float32.

    Args:
        signal: `[rows, tokens, channels]`.
        steps: Above 0, of the same shape.
        rates: Below 0, `[channels, state_size]`.
        write, read: `[rows, tokens, state_size]`.
    """
    steps = steps.float().transpose(0, 1)[..., None]
    inputs = steps * (signal.float().transpose(0, 1)[..., None] * write.float().transpose(0, 1)[:, :, None])
    states = recur(torch.exp(steps * rates), inputs)
    return (states @ read.float().transpose(0, 1)[..., None])[..., 0].transpose(0, 1)


def weighted_mean(decay: Tensor, bonus: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Average values with weights that decay, in float32: equation 16 of RWKV (https://arxiv.org/abs/2305.13048).

    Sums are kept as multiples of exp(`scale`), the largest of their terms; any scale gives the same mean, so that no
    gradient goes through it.

    Args:
        decay: What a weight's logarithm loses with each token, above 0, `[channels]`.
        bonus: What the present token's has more, `[channels]`.
        keys, values: `[rows, tokens, channels]`.
    """
    keys, values = keys.float().transpose(0, 1), values.float().transpose(0, 1)
    with torch.no_grad():
        age = decay * torch.arange(len(keys), device=keys.device)[:, None, None]
        scale = (keys + age).cummax(dim=0).values - age
        before = functional.pad(scale[:-1], (0, 0, 0, 0, 1, 0), value=-torch.inf)
        present = torch.maximum(before, keys + bonus)
    weights = torch.exp(keys - scale)
    kept = torch.exp(before - decay - scale)
    sums = recur(torch.cat([kept, kept], dim=-1), torch.cat([weights * values, weights], dim=-1))
    past, total = functional.pad(sums[:-1], (0, 0, 0, 0, 1, 0)).chunk(2, dim=-1)
    of_past, of_present = torch.exp(before - present), torch.exp(keys + bonus - present)
    return ((of_past * past + of_present * values) / (of_past * total + of_present)).transpose(0, 1)


def _mamba(
    mixer: Any, hidden_states: Tensor, cache_params: Any = None, attention_mask: Tensor | None = None, **kwargs: Any
) -> Tensor:
    if cache_params is not None or torch.compiler.is_compiling():
        return MambaMixer.forward(mixer, hidden_states, cache_params, attention_mask, **kwargs)
    mask = None if attention_mask is None else attention_mask[..., None].to(hidden_states.dtype)
    hidden_states = hidden_states if mask is None else hidden_states * mask
    signal, gate = mixer.in_proj(hidden_states).chunk(2, dim=-1)
    signal = mixer.act(mixer.conv1d(signal.mT)[..., : signal.shape[1]]).mT
    signal = signal if mask is None else signal * mask
    sizes = [mixer.time_step_rank, mixer.ssm_state_size, mixer.ssm_state_size]
    steps, write, read = mixer.x_proj(signal).split(sizes, dim=-1)
    steps = functional.softplus(mixer.dt_proj(steps).float())
    mixed = selective_scan(signal, steps, -torch.exp(mixer.A_log.float()), write, read) + signal * mixer.D.float()
    return mixer.out_proj((mixed * mixer.act(gate.float())).to(hidden_states.dtype))


def _rwkv(
    attention: Any, hidden: Tensor, state: Any = None, use_cache: bool = False
) -> tuple[Tensor, list[Tensor] | None]:
    if state is not None or use_cache or hidden.device.type == "cuda" or torch.compiler.is_compiling():
        return RwkvSelfAttention.forward(attention, hidden, state, use_cache)
    receptance, keys, values, _ = attention.extract_key_value(hidden)
    decay, bonus = torch.exp(attention.time_decay.float()), attention.time_first.float()
    mixed = weighted_mean(decay, bonus, keys, values).to(values.dtype)
    return attention.output(receptance * mixed), None
