"""Held-out prompts: pieces of validation text, and how they really go on."""

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor
from transformers import PreTrainedTokenizerBase

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
    count = min(count, len(blocks))
    prompts, references = [], []
    for number in range(count):
        ids = blocks[(2 * number + 1) * len(blocks) // (2 * count)]["input_ids"].tolist()
        cut = min(PROMPT_TOKENS, max(1, len(ids) // 2))
        head = tokenizer.decode(ids[:cut], skip_special_tokens=True)
        whole_lines = head.partition("\n")[2]
        prompts.append(whole_lines if whole_lines.strip() else head)
        references.append(tokenizer.decode(ids[cut : cut + reference_tokens], skip_special_tokens=True))
    return prompts, references
