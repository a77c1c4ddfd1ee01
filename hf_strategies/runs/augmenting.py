"""What is done to a run's training examples: from settings to what a data set takes."""

import json
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn
from transformers import AutoModelForMaskedLM, AutoModelForSeq2SeqLM, AutoTokenizer, PreTrainedModel

from hf_strategies.arguments import Arguments
from hf_strategies.arguments.topics import ModelArguments
from hf_strategies.arguments.tuning_checks import as_steps
from hf_strategies.augmentation import TextAugmenter, parse_image_spec, parse_text_spec
from hf_strategies.augmentation.back_translation import Translator, paraphrase
from hf_strategies.augmentation.synonyms import choose_synonyms
from hf_strategies.augmentation.text import find_mask_token, needs_of, supply
from hf_strategies.data.cache import built_once, digest
from hf_strategies.data.labelled import Row
from hf_strategies.errors import UserError, first_line
from hf_strategies.tasks.task import Task

PARAPHRASES = "paraphrases.json"
TELL_EVERY = 10.0  # seconds


def build_augmentation(
    arguments: Arguments, task: Task, processor: Any, rows: Sequence[Row], model: nn.Module, *, seed: int
) -> tuple[Any, list[str]]:
    """Make what changes training examples, and say what it took.

    Args:
        arguments: What was asked for.
        task: Settled.
        processor: The model's.
        rows: To train on.
        model: To be trained; its embeddings may give synonyms.
        seed: Of what is drawn on the rows.

    Returns:
        What `task.dataset` takes as `augment`, and notes for the user.

    Raises:
        UserError: Texts or images are to be changed where the task has none, or what that needs is not to be had.
    """
    asked = arguments.augmentation
    has_images = task.head == "image-classification"
    notes = left_out(arguments, texts=bool(task.text_fields), images=has_images)
    if has_images:
        mix = as_steps(asked.image_mix)
        return parse_image_spec(as_steps(asked.image_augmentation), mix[0] if mix else None), notes
    spec = parse_text_spec(as_steps(asked.text_augmentation), keeps_words=task.keeps_words)
    if not (spec and task.text_fields):
        return None, notes
    supplies: dict[str, Any] = {}
    needs = needs_of(spec)
    fields = [row[field] for row in rows for field in task.text_fields]
    texts = [text if isinstance(text, str) else " ".join(text) for text in fields]
    if "mask_token" in needs:
        supplies["mask_token"] = find_mask_token(processor)
    if "synonyms" in needs:
        chosen = choose_synonyms(
            texts,
            source=asked.synonyms,
            tokenizer=processor,
            embeddings=model.get_input_embeddings().weight.detach(),
            load_masked_lm=partial(load_masked_lm, arguments.model),
        )
        supplies["synonyms"] = chosen.synonyms
        notes.append(f"synonyms: {chosen.reason}")
    if "paraphrases" in needs:
        supplies["paraphrases"] = paraphrases(arguments, texts, seed=seed)
    return TextAugmenter(supply(spec, **supplies), seed), notes


def load_masked_lm(model: ModelArguments) -> PreTrainedModel:
    """Load the checkpoint to be trained with its masked-language-model head."""
    assert model.model_name_or_path is not None  # tasks of texts need one
    return AutoModelForMaskedLM.from_pretrained(
        model.model_name_or_path, revision=model.model_revision or "main", trust_remote_code=model.trust_remote_code
    )


def left_out(arguments: Arguments, *, texts: bool, images: bool) -> list[str]:
    """Say what a recipe, made for more than one task, would change that the rows of this task do not have.

    Raises:
        UserError: It is no recipe that says so, but the user.
    """
    kinds = {"text_augmentation": ("texts", texts), "image_augmentation": ("images", images)}
    kinds["image_mix"] = kinds["image_augmentation"]
    notes = []
    for name, (kind, there) in kinds.items():
        if there or not getattr(arguments.augmentation, name):
            continue
        given = arguments.values[name]
        said = f"{name}: task {arguments.task.task} has no {kind} that it could change"
        if not given.from_recipe:
            raise UserError(said)
        notes.append(f"{said}; what {given.where} says is left out")
    return notes


def paraphrases(arguments: Arguments, texts: Sequence[str], *, seed: int) -> dict[str, list[str]]:
    """Translate the texts there and back, once: another run on them, or another rank, reads what was written.

    Raises:
        UserError: No checkpoints were named, or one is no translator.
    """
    asked = arguments.augmentation.back_translation
    if not asked:
        raise UserError("text_augmentation back_translation: say back_translation: {there: NAME, back: NAME}")
    unknown = sorted(set(asked) - {"there", "back", "num_paraphrases", "temperature"})
    if unknown or "there" not in asked:
        raise UserError(
            f"back_translation: expected there, back, num_paraphrases, temperature, got {', '.join(asked)}"
        )
    settings = {name: asked[name] for name in ("num_paraphrases", "temperature") if name in asked}
    ways = [asked[way] for way in ("there", "back") if way in asked]
    name = digest([str(ways), str(settings), str(seed), *texts])

    def write(folder: Path) -> None:
        translators = [load_translator(way) for way in ways]
        made = paraphrase(texts, translators, seed=seed, progress=TranslationProgress(), **settings)
        (folder / PARAPHRASES).write_text(json.dumps(made), encoding="utf-8")

    folder, _ = built_once("paraphrases", name, write)
    return json.loads((folder / PARAPHRASES).read_text(encoding="utf-8"))


class TranslationProgress:
    """Say now and then how far a translation is, which takes a model's time for each text."""

    def __init__(self) -> None:
        self._told = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        """Say it, if it was not said for a while."""
        if time.monotonic() - self._told >= TELL_EVERY:
            self._told = time.monotonic()
            print(f"translate {done:,} of {total:,} texts", flush=True)


def load_translator(name: str) -> Translator:
    """Load one way of a translation.

    Raises:
        UserError: It is not there, or no encoder-decoder.
    """
    try:
        return Translator(AutoModelForSeq2SeqLM.from_pretrained(name), AutoTokenizer.from_pretrained(name))
    except (OSError, ValueError) as error:
        raise UserError(f"back_translation: {name!r} is no checkpoint that translates: {first_line(error)}") from error
