"""Tokenizers that are trained here; each gives back exactly the text that it was given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hf_strategies.data.bases import AMBIGUOUS, BASES, EXPECTED, SPELLINGS
from hf_strategies.data.encoding import CODE_AND_PROSE
from hf_strategies.data.special_tokens import SENTINEL
from hf_strategies.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

NUM_BYTES = 256
NO_BASES = dict.fromkeys(map(ord, SPELLINGS))  # what `translate` takes away
KINDS = ("bpe", "bytes", "chars", "bases")


@dataclass(frozen=True, kw_only=True)
class SpecialTokens:
    """The special tokens that an objective needs.

    Args:
        roles: What the host calls each of them; one token may have several roles.
        template: What stands around a text ($A), and around two of them ($B); empty for nothing.
        num_sentinels: Marks for spans; like T5's they are the last tokens, the first mark the very last.
        inputs: What a tokenizer gives a model by default.
    """

    roles: dict[str, str]
    template: tuple[str, str] | tuple[()] = ()
    num_sentinels: int = 0
    inputs: tuple[str, ...] = ("input_ids", "attention_mask")

    @property
    def first(self) -> list[str]:
        """The tokens that the vocabulary begins with."""
        return list(dict.fromkeys(self.roles.values()))

    @property
    def last(self) -> list[str]:
        """The tokens that it ends with."""
        return [SENTINEL.format(number) for number in reversed(range(self.num_sentinels))]


# A decoder's end is also its padding: padding is masked from the loss and never attended to, so a token of its own
# would be a row of the embedding that is never trained.
SPECIAL_TOKENS = {
    "causal": SpecialTokens(
        roles={"eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}, template=("$A", "$A <|endoftext|> $B")
    ),
    "masked": SpecialTokens(
        roles={"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"},
        template=("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1"),
        inputs=("input_ids", "token_type_ids", "attention_mask"),
    ),
    "span": SpecialTokens(
        roles={"pad_token": "<pad>", "eos_token": "</s>"}, template=("$A </s>", "$A </s> $B </s>"), num_sentinels=100
    ),
}


@dataclass(frozen=True, kw_only=True)
class TokenizerRequest:
    """A tokenizer to be trained on the training text (see `train_tokenizer`)."""

    kind: str = "bpe"
    vocab_size: int | None = None
    objective: str = "causal"


def train_tokenizer(
    kind: str,
    texts: Iterable[str],
    vocab_size: int | None = None,
    *,
    objective: str = "causal",
    show_progress: bool = False,
) -> PreTrainedTokenizerFast:
    """Train a tokenizer on `texts`; the same texts give the same tokenizer.

    Args:
        kind: `bpe` (byte-level byte-pair encoding), `bytes` (one token per byte of UTF-8; nothing is learned), `chars`
            (one token per character that occurs, and bytes for those that do not) or `bases` (A, C, G, T and N of DNA;
            lowercase is read as capitals, other codes as N).
        texts: What to learn from; read once.
        vocab_size: Number of tokens, special ones included; `bpe` needs it, `bytes` has 256 beside the special ones,
            and `chars` keeps the most frequent characters that fit (None: all of them). `bases` has no choice.
        objective: What the model will learn, which decides on the special tokens.
        show_progress: Show a progress bar while learning.

    Raises:
        UserError: `kind` is unknown, `vocab_size` cannot hold the special tokens and the 256 bytes, or `bases` are to
            be read from a text that is no DNA.
    """
    if kind not in KINDS:
        raise UserError(f"unknown tokenizer {kind!r}{did_you_mean(kind, KINDS)} (known: {', '.join(KINDS)})")
    special = SPECIAL_TOKENS[objective]
    num_special = len(special.first) + len(special.last)
    if kind != "bases" and vocab_size is not None and vocab_size < NUM_BYTES + num_special:
        raise UserError(
            f"vocab_size must be at least {NUM_BYTES + num_special} (256 bytes and {num_special} special tokens), "
            f"got {vocab_size}"
        )
    room = None if vocab_size is None else vocab_size - num_special
    if kind == "bpe":
        tokenizer = _train_bpe(texts, special, room, show_progress)
    elif kind == "bases":
        _check_bases(texts)
        tokenizer = _base_tokenizer(special.first)
    else:
        tokenizer = _byte_tokenizer(special.first, _most_frequent(texts, room) if kind == "chars" else [])
    tokenizer.add_special_tokens(special.last)

    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    if special.template:
        single, pair = special.template
        numbered = [(token, tokenizer.token_to_id(token)) for token in special.first]
        tokenizer.post_processor = TemplateProcessing(single=single, pair=pair, special_tokens=numbered)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        extra_special_tokens=special.last,
        model_input_names=special.inputs,
        clean_up_tokenization_spaces=False,
        **special.roles,
    )


def _train_bpe(texts: Iterable[str], special: SpecialTokens, room: int | None, show_progress: bool) -> Tokenizer:
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    if room is None:
        raise UserError("a bpe tokenizer needs vocab_size")
    tokenizer = Tokenizer(models.BPE())
    words = pre_tokenizers.Split(Regex(CODE_AND_PROSE), behavior="isolated")
    as_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, as_bytes])
    tokenizer.decoder = decoders.ByteLevel()
    mask = special.roles.get("mask_token")  # stands for a word, and so for the space that a word begins with
    trainer = trainers.BpeTrainer(
        vocab_size=room + len(special.first),
        show_progress=show_progress,
        special_tokens=[AddedToken(token, special=True, lstrip=token == mask) for token in special.first],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _most_frequent(texts: Iterable[str], room: int | None) -> list[str]:
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    by_frequency = sorted(counts, key=lambda char: (-counts[char], char))
    return by_frequency[: None if room is None else room - NUM_BYTES]


def _byte_tokenizer(special: list[str], chars: list[str]) -> Tokenizer:
    """One token for each of `chars`; any other character becomes the bytes of its UTF-8."""
    from tokenizers import Tokenizer, decoders, models

    tokens = [*special, *(f"<0x{byte:02X}>" for byte in range(NUM_BYTES)), *chars]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], byte_fallback=True))
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens(special)
    return tokenizer


def _check_bases(texts: Iterable[str]) -> None:
    for text in texts:
        if strange := text.translate(NO_BASES):
            raise UserError(f"tokenizer bases reads {EXPECTED}; got {strange[0]!r} in {text[:40]!r}")


def _base_tokenizer(special: list[str]) -> Tokenizer:
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers

    vocabulary = {token: number for number, token in enumerate([*special, *BASES])}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token="N"))
    capitals = [normalizers.Replace(letter.lower(), letter) for letter in BASES]
    others = normalizers.Replace(Regex(f"[{AMBIGUOUS}{AMBIGUOUS.lower()}]"), "N")
    tokenizer.normalizer = normalizers.Sequence([*capitals, others])
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens(special)
    return tokenizer
