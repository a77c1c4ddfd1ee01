"""Paraphrases: texts through a seq2seq checkpoint, or there and back through two, sampled once before training.

As UDA makes them: https://arxiv.org/abs/1904.12848. Sampling serves better than a beam search's
likeliest text: https://arxiv.org/abs/1808.09381.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.random import Generator

from hf_strategies.augmentation.token_room import token_room
from hf_strategies.errors import UserError
from hf_strategies.randomness import draw_seed

logger = logging.getLogger(__name__)


def back_translation(
    words: Sequence[str], generator: Generator, *, paraphrases: Mapping[str, Sequence[str]]
) -> list[str]:
    """Choose a paraphrase of the text, each as likely; a text that has none stays.

    Args:
        words: At least one.
        generator: Who draws.
        paraphrases: By text, with single spaces, as `paraphrase` returns them.

    Raises:
        UserError: The text is none of those that paraphrases were made of.
    """
    text = " ".join(words)
    if text not in paraphrases:
        raise UserError(
            f"back_translation has no entry for the text {text[:60]!r}: its paraphrases are of other texts"
        )
    choices = paraphrases[text]
    return choices[int(generator.integers(len(choices)))].split() if choices else list(words)


@dataclass(frozen=True)
class Translator:
    """A seq2seq checkpoint, and what it must be told.

    Args:
        model: With an encoder and a decoder.
        tokenizer: Its tokenizer.
        prefix: What stands before each text, such as T5's "translate English to German: ".
        source_language: Of a multilingual tokenizer, in its own code, such as "eng_Latn" (NLLB) or "en" (M2M100).
        target_language: As `source_language`; its token is the first that the model writes.

    Raises:
        UserError: The checkpoint is no seq2seq model, or its tokenizer does not know a language.
    """

    model: Any
    tokenizer: Any
    prefix: str = ""
    source_language: str | None = None
    target_language: str | None = None

    def __post_init__(self) -> None:
        if not self.model.config.is_encoder_decoder:
            raise UserError(f"back_translation needs a seq2seq checkpoint, got {type(self.model).__name__}")
        if self.source_language is not None and not hasattr(self.tokenizer, "src_lang"):
            raise UserError(f"{type(self.tokenizer).__name__} knows one language only: leave the source language out")
        if self.target_language is not None and not self.language_choice():
            raise UserError(f"{type(self.tokenizer).__name__} has no token of the language {self.target_language!r}")

    def language_choice(self) -> dict[str, int]:
        """Return what `generate` is told to write in the target language; nothing where the checkpoint knows."""
        vocabulary = self.tokenizer.get_vocab()
        tokens = (self.target_language, f"__{self.target_language}__")
        return next(({"forced_bos_token_id": vocabulary[token]} for token in tokens if token in vocabulary), {})

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the tokens of texts, at full length."""
        if self.source_language is not None:
            self.tokenizer.src_lang = self.source_language
        return self.tokenizer([self.prefix + text for text in texts])["input_ids"]


def paraphrase(
    texts: Sequence[str],
    translators: Sequence[Translator],
    *,
    seed: int,
    num_paraphrases: int = 2,
    temperature: float = 0.9,
    batch_size: int = 32,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, list[str]]:
    """Sample paraphrases of texts; the same arguments give the same ones.

    Texts that are too long for a model are left out rather than cut, and so are samples that did not come to an end,
    are empty, or are the text itself. Models are put into evaluation mode; the global random streams stay as they are.

    Args:
        texts: Any; of equal ones (but for spaces) one is taken.
        translators: One that paraphrases, or two: there and back.
        seed: Seed of the run.
        num_paraphrases: Samples of each text on the way there; each is brought back once.
        temperature: Of the sampling, above 0; lower stays closer to the text.
        batch_size: Texts per call of a model.
        progress: Told after each call of a model how many texts one way has done, and of how many.

    Returns:
        Paraphrases by text, with single spaces; an empty list for a text that has none, which is said in the log. It
        can be kept as JSON.

    Raises:
        UserError: No text has a paraphrase.
    """
    originals = list(dict.fromkeys(spaced for text in texts if (spaced := " ".join(text.split()))))
    pairs = [(text, text) for text in originals]  # each with what became of it so far
    for number, translator in enumerate(translators):
        if not pairs:
            break
        samples = _sample(
            translator,
            [text for _, text in pairs],
            num_samples=1 if number else num_paraphrases,
            temperature=temperature,
            batch_size=batch_size,
            seed=draw_seed(seed, 0, number, "back_translation"),
            progress=progress,
        )
        pairs = [(original, one) for (original, _), several in zip(pairs, samples) for one in several]
    found: dict[str, dict[str, None]] = {text: {} for text in originals}  # dictionaries, to keep an order
    for original, text in pairs:
        if text.lower() != original.lower():
            found[original][text] = None
    without = sum(not several for several in found.values())
    if without == len(found):
        raise UserError(
            f"back_translation: none of {without} texts has a paraphrase; they are too long, or what the checkpoint "
            "writes does not end, is empty, or is the text itself"
        )
    if without:
        logger.warning("back_translation: %d of %d texts have no paraphrase and stay as they are", without, len(found))
    return {text: list(several) for text, several in found.items()}


def _sample(
    translator: Translator,
    texts: Sequence[str],
    *,
    num_samples: int,
    temperature: float,
    batch_size: int,
    seed: int,
    progress: Callable[[int, int], None] | None,
) -> list[list[str]]:
    """Return what a model writes for each text: those of `num_samples` samples that end and are not empty."""
    import torch  # here, so that a command line can be checked without it

    model, tokenizer = translator.model.eval(), translator.tokenizer
    device = model.device
    room, ends = token_room(model, tokenizer), torch.as_tensor(model.generation_config.eos_token_id, device=device)
    encoded = translator.encode(texts)
    written: list[list[str]] = [[] for _ in texts]
    done = 0
    with torch.no_grad(), torch.random.fork_rng([] if device.type == "cpu" else [device], device_type=device.type):
        torch.manual_seed(seed)
        for batch in _batches([len(tokens) for tokens in encoded], batch_size, room):
            inputs = tokenizer.pad({"input_ids": [encoded[place] for place in batch]}, return_tensors="pt").to(device)
            new_tokens = min(2 * inputs["input_ids"].shape[1] + 16, room - 1)
            outputs = model.generate(
                **inputs,
                do_sample=True,
                num_beams=1,
                top_k=0,  # all of the vocabulary; the host's default is 50
                temperature=temperature,
                num_return_sequences=num_samples,
                max_new_tokens=new_tokens,
                **translator.language_choice(),
            )
            # A token may be forced to end what reaches the length: what ends there was cut.
            ended = torch.isin(outputs[:, 1:new_tokens], ends).any(dim=1).tolist()
            decoded = tokenizer.batch_decode(outputs, skip_special_tokens=True)
            for number, (text, whole) in enumerate(zip(decoded, ended)):
                if whole and text.strip():
                    written[batch[number // num_samples]].append(" ".join(text.split()))
            done += len(batch)
            if progress is not None:
                progress(done, len(texts))
    return written


def _batches(lengths: Sequence[int], batch_size: int, room: int) -> Iterator[list[int]]:
    """Yield places of texts that fit, texts of one length together."""
    places = sorted((place for place, length in enumerate(lengths) if length <= room), key=lengths.__getitem__)
    for start in range(0, len(places), batch_size):
        yield places[start : start + batch_size]
