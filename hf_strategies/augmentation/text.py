"""A text as a recipe wants it changed: what may be written, and the one function that applies it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from hf_strategies.augmentation.shelf import TEXT_AUGMENTATIONS
from hf_strategies.augmentation.spec import Step, parse_steps
from hf_strategies.errors import UserError
from hf_strategies.randomness import generator

FIRST_SENTINEL = "<extra_id_0>"  # T5's mark of missing words

TextSpec = tuple[Step, ...]


def parse_text_spec(written: Any, *, keeps_words: bool = False) -> TextSpec:
    """Read what a recipe, a flag or a caller gives.

    Args:
        written: A list such as `[{name: aeda, probability: 0.5, rate: 0.3}]`, applied in that order; None for none.
        keeps_words: Every word has a label of its own: refuse what moves words.

    Raises:
        UserError: As `parse_steps`; paraphrases are not first or masks not last; or words do not keep their labels.
    """
    spec = parse_steps("text_augmentation", written, TEXT_AUGMENTATIONS)
    for before, after in pairwise(spec):
        if _need(after) == "paraphrases":
            raise UserError(
                f"text_augmentation: {after.name} must be the first, got it after {before.name}: "
                "paraphrases are known of unchanged texts only"
            )
        if _need(before) == "mask_token" and _need(after) != "mask_token":
            raise UserError(
                f"text_augmentation: {after.name} must be before {before.name}: what changes words would change its "
                "mask tokens"
            )
    if keeps_words:
        keeping = [entry.name for entry in TEXT_AUGMENTATIONS if entry.facts["keeps_words"]]
        for step in spec:
            if step.name not in keeping:
                raise UserError(
                    f"text_augmentation: {step.name} moves words away from their labels (where words have labels: "
                    f"{', '.join(keeping)})"
                )
    return spec


def needs_of(spec: TextSpec) -> set[str]:
    """Return what must be supplied to a specification: of "synonyms", "mask_token" and "paraphrases"."""
    return {need for step in spec if (need := _need(step)) is not None}


def supply(spec: TextSpec, **supplies: Any) -> TextSpec:
    """Return a specification with what it needs beside a user's settings.

    Args:
        spec: As `parse_text_spec` returns it.
        supplies: `synonyms`, `mask_token` and `paraphrases`, as far as `needs_of` has them; more does no harm.
    """
    return tuple(
        replace(step, settings={**step.settings, need: supplies[need]}) if (need := _need(step)) else step
        for step in spec
    )


def augment_text(text: str, spec: TextSpec, *, seed: int, epoch: int, example: int, field: str = "text") -> str:
    """Apply a specification to one text; the same key always gives the same text.

    Words are what stands between spaces. A text in which no word changes keeps its spaces and line breaks; in any
    other they become single spaces.

    Args:
        text: Any text; an empty one stays as it is.
        spec: With what it needs (`supply`).
        seed: Seed of the run.
        epoch: Pass over the data, from 0.
        example: Index of the example in its data set.
        field: Which of the example's texts it is; each is drawn for apart.
    """
    words = text.split()
    changed = augment_words(words, spec, seed=seed, epoch=epoch, example=example, field=field)
    return text if changed == words else " ".join(changed)


def augment_words(
    words: Sequence[str], spec: TextSpec, *, seed: int, epoch: int, example: int, field: str = "text"
) -> list[str]:
    """Apply a specification to a text that is in words already; the arguments are those of `augment_text`."""
    changed = list(words)
    for step in spec if changed else ():
        draws = generator(seed, epoch, example, f"{field}.{step.name}")
        settings = dict(step.settings)
        if draws.random() < settings.pop("probability", 1.0):
            changed = TEXT_AUGMENTATIONS[step.name].build(changed, draws, **settings)
    return changed


@dataclass(frozen=True)
class TextAugmenter:
    """What is done to the texts of a training set; it can be sent to a worker.

    Args:
        spec: With what it needs.
        seed: Seed of the run.
    """

    spec: TextSpec
    seed: int

    def __call__(self, text: str | Sequence[str], *, epoch: int, example: int, field: str) -> str | list[str]:
        """Apply the specification to a text, or to its words where it is in words."""
        key = {"seed": self.seed, "epoch": epoch, "example": example}
        if isinstance(text, str):
            return augment_text(text, self.spec, **key, field=field)
        return augment_words(text, self.spec, **key, field=field)


def find_mask_token(tokenizer: Any) -> str:
    """Return what a tokenizer reads as missing words: its mask token, T5's first sentinel, or its unknown word.

    Args:
        tokenizer: Of transformers.

    Raises:
        UserError: It has none of them, or its unknown word also begins or ends texts, as GPT-2's does.
    """
    if tokenizer.mask_token is not None:
        return tokenizer.mask_token
    if FIRST_SENTINEL in tokenizer.get_vocab():
        return FIRST_SENTINEL
    if tokenizer.unk_token not in (None, tokenizer.bos_token, tokenizer.eos_token):
        return tokenizer.unk_token
    raise UserError(
        "masking words needs a tokenizer with a mask token, a sentinel or an unknown word of its own, and this one "
        "has none: choose random_deletion instead"
    )


def _need(step: Step) -> str | None:
    return TEXT_AUGMENTATIONS[step.name].facts["needs"]
