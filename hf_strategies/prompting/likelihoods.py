"""How likely a model finds each label word behind its prompt: sums of log-probabilities, many prompts at once.

What prompts share is computed once. The tokens with which all prompts of a batch begin, such as their demonstrations,
go through the model as one row; the rest of each prompt follows once, and every label word behind that.
"""

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutput

from hf_strategies.prompting.prompts import Prompt, common_prefix


@torch.no_grad()
def word_log_likelihoods(model: Any, prompts: Sequence[Prompt], *, pad_token_id: int, batch_size: int) -> np.ndarray:
    """Compute the log-likelihood of every label word behind every prompt, in nats.

    Args:
        model: A causal language model or an encoder-decoder, in evaluation mode.
        prompts: All with the same number of label words.
        pad_token_id: Fills up shorter rows; what stands there is never looked at.
        batch_size: Sequences at a time, each a prompt with one of its label words.

    Returns:
        Sums over the tokens of each word. `[prompts, words]`, float64
    """
    if model.config.is_encoder_decoder:
        score = _seq2seq_batch
    else:
        longest = max(len(prompt.context) + max(map(len, prompt.endings)) for prompt in prompts)
        score = _cached_batch if keeps_prompts(model, longest) else _whole_batch
    size = max(1, batch_size // len(prompts[0].endings))
    order = sorted(range(len(prompts)), key=lambda row: len(prompts[row].context))
    scores = np.empty((len(prompts), len(prompts[0].endings)))
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        found = score(model, [prompts[row] for row in rows], pad_token_id)
        scores[rows] = found.view(len(rows), -1).double().cpu().numpy()
    return scores


def keeps_prompts(model: Any, longest: int) -> bool:
    """Tell whether a causal model can go on from what it has read, with a gap where shorter rows were filled up.

    Recurrent models cannot go back to where a prompt ended; those that take no positions, and windows that slide over
    places, count the gap too.

    Args:
        model: With its config.
        longest: Tokens of the longest prompt with its longest word.
    """
    takes = inspect.signature(model.forward).parameters
    windows = [getattr(model.config, name, None) for name in ("sliding_window", "attention_chunk_size")]
    slides = any(window is not None and window < longest for window in windows)
    return {"past_key_values", "position_ids"} <= set(takes) and not model._is_stateful and not slides


def _cached_batch(model: Any, prompts: Sequence[Prompt], pad: int) -> Tensor:
    """Score a batch whose contexts, and before that their common start, are read once. Returns `[rows, words]`."""
    device = model.device
    contexts = [prompt.context for prompt in prompts]
    lengths = torch.tensor([len(context) for context in contexts], device=device)
    shared = min(common_prefix(contexts), int(lengths.min()) - 1)  # each row predicts from a token of its own
    cache = None
    if shared:
        start = torch.tensor([contexts[0][:shared]], device=device)
        cache = model(input_ids=start, use_cache=True, **_last_logits(model)).past_key_values
        cache.batch_repeat_interleave(len(prompts))
    own, is_own = _padded([context[shared:] for context in contexts], pad, device, left=True)
    mask = torch.cat([is_own.new_ones(len(prompts), shared), is_own], dim=1)
    out = model(
        input_ids=own,
        attention_mask=mask,
        position_ids=(mask.cumsum(dim=1) - 1).clamp(min=0)[:, shared:],
        past_key_values=cache,
        use_cache=True,
        **_last_logits(model),
    )
    endings = [ending for prompt in prompts for ending in prompt.endings]
    num_words = len(prompts[0].endings)
    first = out.logits[:, -1].float().log_softmax(dim=-1).repeat_interleave(num_words, dim=0)
    scores = first.gather(1, torch.tensor([ending[:1] for ending in endings], device=device))[:, 0]
    if max(map(len, endings)) == 1:
        return scores
    cache = out.past_key_values
    cache.batch_repeat_interleave(num_words)
    tokens, is_token = _padded([ending[:-1] for ending in endings], pad, device)
    mask = torch.cat([mask.repeat_interleave(num_words, dim=0), is_token], dim=1)
    positions = lengths.repeat_interleave(num_words)[:, None] + torch.arange(tokens.shape[1], device=device)
    logits = model(
        input_ids=tokens, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True
    ).logits
    return scores + _summed(logits, [ending[1:] for ending in endings])


def _whole_batch(model: Any, prompts: Sequence[Prompt], pad: int) -> Tensor:
    """Score a batch as whole rows, one for each word; what is filled up comes behind, where nothing looks at it."""
    rows = [[*prompt.context, *ending] for prompt in prompts for ending in prompt.endings]
    tokens, is_token = _padded(rows, pad, model.device)
    logits = model(input_ids=tokens, attention_mask=is_token).logits
    targets = [[*[None] * (len(prompt.context) - 1), *ending] for prompt in prompts for ending in prompt.endings]
    return _summed(logits, targets)


def _seq2seq_batch(model: Any, prompts: Sequence[Prompt], pad: int) -> Tensor:
    """Score a batch whose prompts are read once."""
    num_words = len(prompts[0].endings)
    tokens, is_token = _padded([prompt.context for prompt in prompts], pad, model.device)
    read = model.get_encoder()(input_ids=tokens, attention_mask=is_token).last_hidden_state
    endings = [ending for prompt in prompts for ending in prompt.endings]
    start = model.config.decoder_start_token_id
    written, _ = _padded([[start, *ending[:-1]] for ending in endings], pad, model.device)
    logits = model(
        encoder_outputs=BaseModelOutput(last_hidden_state=read.repeat_interleave(num_words, dim=0)),
        attention_mask=is_token.repeat_interleave(num_words, dim=0),
        decoder_input_ids=written,
        use_cache=False,
    ).logits
    return _summed(logits, endings)


def _summed(logits: Tensor, targets: Sequence[Sequence[int | None]]) -> Tensor:
    """Sum the log-probabilities of each row's targets; None is no target, and so is what a row does not reach.

    Args:
        logits: Of the token at each place. `[rows, places, vocabulary]`
        targets: At most as many as there are places.
    """
    longest = logits.shape[1]
    filled = [[*row, *[None] * (longest - len(row))] for row in targets]
    wanted = torch.tensor([[token or 0 for token in row] for row in filled], device=logits.device)
    counts = torch.tensor([[token is not None for token in row] for row in filled], device=logits.device)
    logged = logits.float().log_softmax(dim=-1).gather(2, wanted[..., None])[..., 0]
    return logged.where(counts, 0.0).sum(dim=1)


def _padded(
    rows: Sequence[Sequence[int]], pad: int, device: torch.device, *, left: bool = False
) -> tuple[Tensor, Tensor]:
    """Fill rows up to the longest; returns tokens and the mask of those that are real. Both `[rows, longest]`"""
    longest = max(map(len, rows))
    gaps = [longest - len(row) for row in rows]
    filled = [[*[pad] * gap, *row] if left else [*row, *[pad] * gap] for row, gap in zip(rows, gaps, strict=True)]
    real = [[0] * gap + [1] * len(row) if left else [1] * len(row) + [0] * gap for row, gap in zip(rows, gaps)]
    return torch.tensor(filled, device=device), torch.tensor(real, device=device)


def _last_logits(model: Any) -> dict[str, int]:
    """Ask for the logits of the last token alone, of models that can do so: all of them can be gigabytes."""
    return {"logits_to_keep": 1} if "logits_to_keep" in inspect.signature(model.forward).parameters else {}
