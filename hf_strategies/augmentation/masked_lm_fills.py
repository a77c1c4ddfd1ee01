"""What a masked language model puts in the place of a word."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch

from hf_strategies.augmentation.embedding_neighbours import whole_words
from hf_strategies.augmentation.token_room import token_room
from hf_strategies.augmentation.word_forms import meaning_of, split_affixes

WORDS_AROUND = 16  # on each side of the masked word


class Occurrence(NamedTuple):
    """A word, some text with it in its place, and that text with a mask there."""

    word: str
    text: str
    masked: str


def masked_lm_fills(
    texts: Sequence[str],
    model: Any,
    tokenizer: Any,
    *,
    floor: float = 0.05,
    most: int = 10,
    contexts: int = 3,
    batch_size: int = 32,
) -> dict[str, list[str]]:
    """Return what the model puts in the place of each word of `texts`, the likeliest first.

    The model reads the text as it is and then the masked text, so that it fills in what means the same, not only what
    fits (https://arxiv.org/abs/1907.06226); chances are averaged over a word's first occurrences. Cost:
    a forward pass of some 100 tokens for each of them. The model is put into evaluation mode.

    Args:
        texts: What will be augmented.
        model: With a masked-language-model head.
        tokenizer: With a mask token.
        floor: Chance that a fill has at least, among all whole words of the vocabulary but the word itself.
        most: Fills of a word at most.
        contexts: Occurrences of a word that are looked at.
        batch_size: Occurrences per forward pass.
    """
    tokens = whole_words(tokenizer)
    names, ids = list(tokens), torch.tensor(list(tokens.values()), device=model.device, dtype=torch.long)
    place_of = {name: place for place, name in enumerate(names)}
    occurrences = list(find_occurrences(texts, tokenizer.mask_token, contexts)) if names else []
    chances: dict[str, list[torch.Tensor]] = defaultdict(list)
    model.eval()
    for start in range(0, len(occurrences), batch_size):
        batch = occurrences[start : start + batch_size]
        inputs = tokenizer(
            [one.text for one in batch],
            [one.masked for one in batch],
            padding=True,
            truncation=True,  # an occurrence whose mask is cut off does not count
            max_length=token_room(model, tokenizer),
            return_tensors="pt",
        ).to(model.device)
        with torch.no_grad():
            logits = model(**inputs).logits[..., ids]
        for row, column in (inputs["input_ids"] == tokenizer.mask_token_id).nonzero().tolist():
            word, scores = batch[row].word, logits[row, column].float()
            if word in place_of:
                scores[place_of[word]] = -torch.inf
            chances[word].append(scores.softmax(dim=0).cpu())
    fills = {}
    for word, found in chances.items():
        values, places = torch.stack(found).mean(dim=0).topk(min(most, len(names)))
        fills[word] = [names[place] for value, place in zip(values.tolist(), places.tolist()) if value >= floor]
    return fills


def find_occurrences(texts: Sequence[str], mask_token: str, contexts: int) -> Iterator[Occurrence]:
    """Yield the first `contexts` occurrences of each word that carries a meaning."""
    seen: dict[str, int] = defaultdict(int)
    for text in texts:
        words = text.split()
        for place, word in enumerate(words):
            meaning = meaning_of(word)
            if not meaning or seen[meaning] == contexts:
                continue
            seen[meaning] += 1
            opening, _, closing = split_affixes(word)
            before, after = words[max(place - WORDS_AROUND, 0) : place], words[place + 1 : place + 1 + WORDS_AROUND]
            masked = [*before, f"{opening}{mask_token}{closing}", *after]
            yield Occurrence(meaning, " ".join([*before, word, *after]), " ".join(masked))
