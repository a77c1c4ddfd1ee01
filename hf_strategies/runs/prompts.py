"""Held-out prompts: pieces of validation text, and how they really go on, or what stood in their gaps."""

from collections.abc import Iterable, Mapping
from typing import Protocol

import numpy as np
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from hf_strategies.data.masked_blocks import MaskedBlocks
from hf_strategies.metrics.language_modeling import IGNORED
from hf_strategies.randomness import generator

PROMPT_TOKENS = 48


class Blocks(Protocol):
    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Mapping[str, Tensor]: ...


def split_prompts(
    blocks: Blocks, tokenizer: PreTrainedTokenizerBase, *, count: int, reference_tokens: int
) -> tuple[list[str], list[str]]:
    """Cut `count` blocks, evenly spaced, into a prompt and its continuation.

    A block begins anywhere in a text, so its first, partial line is left out of the prompt where a line follows.

    Args:
        blocks: Held-out text in blocks of tokens, each with "input_ids".
        tokenizer: Turns them back into text.
        count: Prompts wanted; fewer come when there are fewer blocks.
        reference_tokens: Length of a continuation.

    Returns:
        Prompts and continuations.
    """
    prompts, references = [], []
    for index in evenly_spaced(len(blocks), count):
        ids = blocks[index]["input_ids"].tolist()
        cut = min(PROMPT_TOKENS, max(1, len(ids) // 2))
        head = tokenizer.decode(ids[:cut], skip_special_tokens=True)
        whole_lines = head.partition("\n")[2]
        prompts.append(whole_lines if whole_lines.strip() else head)
        references.append(tokenizer.decode(ids[cut : cut + reference_tokens], skip_special_tokens=True))
    return prompts, references


def gap_prompts(
    blocks: MaskedBlocks, tokenizer: PreTrainedTokenizerBase, *, count: int
) -> tuple[list[str], list[str]]:
    """Cut a piece out of `count` blocks, evenly spaced, and hide a part of it as the objective does.

    Args:
        blocks: Held-out text.
        tokenizer: Turns it back into text.
        count: Prompts wanted; fewer come when there are fewer blocks.

    Returns:
        Texts with masks and those without; or texts with sentinels, and behind each sentinel what it stands for.
    """
    prompts, references = [], []
    for index in evenly_spaced(len(blocks), count):
        piece = blocks.blocks.tokens(index)[:PROMPT_TOKENS]
        example = blocks.masking(piece, generator(0, 0, index, "prompt"))
        seen, labels = example["input_ids"], example["labels"]
        if tokenizer.mask_token_id is not None:  # also what was not hidden behind the mask is asked for
            prompts.append(_text(tokenizer, np.where(labels == IGNORED, seen, tokenizer.mask_token_id)))
            references.append(_text(tokenizer, np.where(labels == IGNORED, seen, labels)))
        else:
            prompts.append(_text(tokenizer, seen))
            references.append(_text(tokenizer, labels[labels != IGNORED]))
    return prompts, references


def evenly_spaced(size: int, count: int) -> list[int]:
    """Return `count` places in [0, size), or all where there are fewer."""
    count = min(count, size)
    return [(2 * number + 1) * size // (2 * count) for number in range(count)]


def _text(tokenizer: PreTrainedTokenizerBase, ids: Iterable[int]) -> str:
    """Decode tokens, gaps and all, without what stands around a text."""
    roles = (tokenizer.pad_token_id, tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.eos_token_id)
    return tokenizer.decode([token for token in map(int, ids) if token not in roles])
