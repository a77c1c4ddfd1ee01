"""Tokenizers that are trained here; each gives back exactly the text that it was given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hf_strategies.data.encoding import CODE_AND_PROSE
from hf_strategies.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

END_OF_TEXT = "<|endoftext|>"
NUM_BYTES = 256
KINDS = ("bpe", "bytes", "chars")


@dataclass(frozen=True, kw_only=True)
class TokenizerRequest:
    """A tokenizer to be trained on the training text (see `train_tokenizer`)."""

    kind: str = "bpe"
    vocab_size: int | None = None


def train_tokenizer(
    kind: str, texts: Iterable[str], vocab_size: int | None = None, *, show_progress: bool = False
) -> PreTrainedTokenizerFast:
    """Train a tokenizer on `texts`; the same texts give the same tokenizer.

    Its one special token ends documents and is also the padding: padding is masked from the loss and never attended
    to, so a token of its own would be a row of the embedding that is never trained.

    Args:
        kind: `bpe` (byte-level byte-pair encoding), `bytes` (one token per byte of UTF-8; nothing is learned) or
            `chars` (one token per character that occurs, and bytes for those that do not).
        texts: What to learn from; read once.
        vocab_size: Number of tokens, the special one included; `bpe` needs it, `bytes` has 257, and `chars` keeps the
            most frequent characters that fit (None: all of them).
        show_progress: Show a progress bar while learning.

    Raises:
        UserError: `kind` is unknown, or `vocab_size` cannot hold the special token and the 256 bytes.
    """
    if kind not in KINDS:
        raise UserError(f"unknown tokenizer {kind!r}{did_you_mean(kind, KINDS)} (known: {', '.join(KINDS)})")
    smallest = NUM_BYTES + 1
    if vocab_size is not None and vocab_size < smallest:
        raise UserError(f"vocab_size must be at least {smallest} (256 bytes and {END_OF_TEXT}), got {vocab_size}")
    if kind == "bpe":
        tokenizer = _train_bpe(texts, vocab_size, show_progress)
    else:
        tokenizer = _byte_tokenizer(_most_frequent(texts, vocab_size) if kind == "chars" else [])

    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END_OF_TEXT,
        pad_token=END_OF_TEXT,
        clean_up_tokenization_spaces=False,
    )


def _train_bpe(texts: Iterable[str], vocab_size: int | None, show_progress: bool) -> Tokenizer:
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    if vocab_size is None:
        raise UserError("a bpe tokenizer needs vocab_size")
    tokenizer = Tokenizer(models.BPE())
    words = pre_tokenizers.Split(Regex(CODE_AND_PROSE), behavior="isolated")
    as_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, as_bytes])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        show_progress=show_progress,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _most_frequent(texts: Iterable[str], vocab_size: int | None) -> list[str]:
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    by_frequency = sorted(counts, key=lambda char: (-counts[char], char))
    return by_frequency[: None if vocab_size is None else vocab_size - NUM_BYTES - 1]


def _byte_tokenizer(chars: list[str]) -> Tokenizer:
    """One token for each of `chars`; any other character becomes the bytes of its UTF-8."""
    from tokenizers import Tokenizer, decoders, models

    tokens = [END_OF_TEXT, *(f"<0x{byte:02X}>" for byte in range(NUM_BYTES)), *chars]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], byte_fallback=True))
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens([END_OF_TEXT])
    return tokenizer
