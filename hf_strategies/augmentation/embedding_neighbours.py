"""The nearest words among a checkpoint's input embeddings."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from hf_strategies.augmentation.word_forms import meaning_of

ROWS_AT_ONCE = 1024
SHORTEST_WORD = 3  # letters; most shorter tokens are pieces of words


def whole_words(tokenizer: Any) -> dict[str, int]:
    """Return the words in lower case that are one token in the middle of a text, stop words left out.

    Works for any tokenizer that knows words by the space before them or by their pieces. A word's beginning that is a
    token cannot be told from a word.
    """
    words = [tokenizer.decode([token]).strip() for token in range(len(tokenizer))]
    before = tokenizer("a", add_special_tokens=False)["input_ids"]
    encoded = tokenizer([f"a {word}" for word in words], add_special_tokens=False)["input_ids"]
    return {
        word: tokens[-1]
        for word, tokens in zip(words, encoded)
        if len(word) >= SHORTEST_WORD and word.isalpha() and word == meaning_of(word) and tokens[:-1] == before
    }


def embedding_neighbours(
    words: Iterable[str], tokenizer: Any, embeddings: Tensor, *, floor: float = 0.4, most: int = 10
) -> dict[str, list[str]]:
    """Return the nearest words of each word, the nearest first, by the cosine of embeddings around their mean.

    The mean is taken out because all embeddings of a language model share it (https://arxiv.org/abs/1702.01417). Cost:
    a product of the given words' embeddings with those of all whole words.

    Args:
        words: In lower case; those that are not one token have no neighbours.
        tokenizer: Of the checkpoint.
        embeddings: Its table of input embeddings. `[vocabulary, hidden]`
        floor: Cosine that a neighbour has at least; never less than the nearest two of as many random vectors have,
            so that a table that has learned nothing has no neighbours.
        most: Neighbours of a word at most.
    """
    known = whole_words(tokenizer)
    if len(known) < 2:
        return {}
    names = list(known)
    table = embeddings.detach()[list(known.values())].float()
    table = torch.nn.functional.normalize(table - table.mean(dim=0), dim=1)
    floor = max(floor, math.sqrt(4 * math.log(len(names)) / table.shape[1]))
    place_of = {name: place for place, name in enumerate(names)}
    asked = [word for word in dict.fromkeys(words) if word in place_of]
    found: dict[str, list[str]] = {}
    for start in range(0, len(asked), ROWS_AT_ONCE):
        rows = asked[start : start + ROWS_AT_ONCE]
        places = torch.tensor([place_of[word] for word in rows], device=table.device)
        cosines = table[places] @ table.T
        cosines[torch.arange(len(rows)), places] = -1.0  # a word is not its own neighbour
        nearest = cosines.topk(min(most, len(names) - 1), dim=1)
        for word, values, indices in zip(rows, nearest.values.tolist(), nearest.indices.tolist()):
            found[word] = [names[index] for value, index in zip(values, indices) if value >= floor]
    return found
