"""Whether a causal language model keeps texts apart that share a row of tokens."""

import inspect

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.utils.generic import is_flash_attention_requested

from hf_strategies.distributed.agreement import decide_together
from hf_strategies.distributed.sharding import is_sharded

PROBE_TOKENS = 4  # of each of two texts
LARGEST_LEAK = 0.1  # of what a model sees that is not told of a border: rounding is far below, any leak above


def why_texts_meet(model: PreTrainedModel, *, rows: int) -> str:
    """Say why texts that share a row, told apart by positions that restart, see each other; empty if they do not.

    The model itself is asked: the host's attention follows the positions, but not every model hands them on. All ranks
    call this together. Cost: two passes over two rows of eight tokens.

    Args:
        model: With a causal language model's head, without an adapter that puts tokens before the input.
        rows: Of a batch, at most.
    """
    name, attention = type(model).__name__, model.config._attn_implementation
    if "position_ids" not in inspect.signature(model.forward).parameters:
        return f"{name} takes no position_ids, which tell them apart"
    if is_flash_attention_requested(model.config):  # it runs on no CPU, and not in float32
        return f"{attention} looks for borders in batches of one row alone, got {rows}" if rows > 1 else ""
    if is_sharded(model):
        return ""
    return f"{name} does not keep them apart" if decide_together(lambda: _leaks(model)) else ""


@torch.no_grad()
def _leaks(model: PreTrainedModel) -> bool:
    """Tell whether the first of two texts in a row changes what is predicted in the second."""
    draws, words = torch.Generator().manual_seed(0), model.get_input_embeddings().num_embeddings
    ids = torch.randint(words, (2, 2 * PROBE_TOKENS), generator=draws).to(model.device)
    ids[1, PROBE_TOKENS:] = ids[0, PROBE_TOKENS:]  # one text behind two others
    restarting = torch.arange(PROBE_TOKENS, device=model.device).repeat(2, 2)
    was_training = model.training
    model.eval()
    seen, leaked = (_difference(model, ids, **more) for more in ({}, {"position_ids": restarting}))
    model.train(was_training)
    return leaked > LARGEST_LEAK * seen


def _difference(model: PreTrainedModel, ids: Tensor, **positions: Tensor) -> float:
    logits = model(input_ids=ids, use_cache=False, **positions).logits  # with a cache, borders are not looked for
    first, second = logits[:, PROBE_TOKENS:].float()
    return (first - second).abs().max().item()
