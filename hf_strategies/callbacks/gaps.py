"""How a model fills the gaps of a text: masks that an encoder names, spans that a decoder writes."""

from typing import Any

import torch
from transformers import PreTrainedTokenizerBase


def fill_masks(model: Any, tokenizer: PreTrainedTokenizerBase, prompt: str) -> str:
    """Put the likeliest token in the place of each mask, each for itself; `prompt` has at least one."""
    ids = torch.tensor([tokenizer(prompt)["input_ids"]], device=next(model.parameters()).device)
    logits = model(input_ids=ids).logits
    filled = torch.where(ids == tokenizer.mask_token_id, logits.argmax(dim=-1), ids)
    return tokenizer.decode(filled[0], skip_special_tokens=True)


def fill_spans(model: Any, tokenizer: PreTrainedTokenizerBase, prompt: str, *, max_new_tokens: int) -> str:
    """Write what may stand in the place of each sentinel, behind that sentinel, as T5 does.

    Args:
        model: An encoder-decoder.
        tokenizer: Its own.
        prompt: Text with sentinels.
        max_new_tokens: Length of what is written, in tokens.
    """
    ids = torch.tensor([tokenizer(prompt)["input_ids"]], device=next(model.parameters()).device)
    written = model.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=max_new_tokens, do_sample=False
    )
    frame = {tokenizer.pad_token_id, tokenizer.eos_token_id}
    return tokenizer.decode([token for token in written[0].tolist() if token not in frame])
