"""Tokenizers of whole words, and what a text looks like to them."""

from collections.abc import Sequence

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

SPECIAL = {"pad_token": "[PAD]", "eos_token": "[EOS]", "unk_token": "[UNK]", "mask_token": "[MASK]"}


@pytest.fixture
def word_tokenizer():
    """Return a tokenizer of these words, whose texts end with [EOS]; special tokens come first."""

    def build(words: Sequence[str]) -> PreTrainedTokenizerFast:
        vocabulary = {word: number for number, word in enumerate([*SPECIAL.values(), *words])}
        tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        tokenizer.post_processor = processors.TemplateProcessing(
            single="$A [EOS]", pair="$A [EOS] $B [EOS]", special_tokens=[("[EOS]", vocabulary["[EOS]"])]
        )
        return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **SPECIAL)

    return build
