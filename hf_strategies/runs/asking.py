"""A language model that is asked about rows: loaded, with its prompts, its label words and their calibration."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel, TrainingArguments

from hf_strategies.arguments import Arguments
from hf_strategies.arguments.topics import ModelArguments
from hf_strategies.errors import UserError
from hf_strategies.models.factory import load_config, load_model, read_config
from hf_strategies.models.heads import HEAD_OF, pretraining_objective
from hf_strategies.prompting import PromptTemplate, choose_words
from hf_strategies.prompting.calibration import (
    CONTENT_FREE,
    calibrated,
    contextual_baseline,
    log_probabilities,
    per_token,
)
from hf_strategies.prompting.likelihoods import word_log_likelihoods
from hf_strategies.prompting.prompts import Prompt, PromptEncoder
from hf_strategies.runs.language_model import check_positions, check_vocabulary, load_tokenizer, positions_of

ALIASES = ("text", "text_pair")  # what a template may call the columns, whatever their names


@dataclass(frozen=True)
class Answers:
    """What a model says of all rows.

    Args:
        plain: Log-probabilities of the label words. `[rows, words]`
        calibrated: The same, calibrated; None where that is not asked for.
        seconds: That it took.
        prompts: As they were asked.
    """

    plain: np.ndarray
    calibrated: np.ndarray | None
    seconds: float
    prompts: Sequence[Prompt]


class AskedModel:
    """A model, asked by the settings of a run.

    Args:
        arguments: Of the run.
        args: The host's part of it.
        fields: Columns of a row's texts: one, or two of a pair.
        names: Of the classes.

    Raises:
        UserError: There is no such model, or template and label words do not fit it or the rows.
    """

    def __init__(
        self, arguments: Arguments, args: TrainingArguments, fields: Sequence[str], names: Sequence[str]
    ) -> None:
        asked = arguments.prompting
        self.fields = tuple(fields)
        self.template = PromptTemplate(str(arguments.task.prompt_template), list(dict.fromkeys([*fields, *ALIASES])))
        self._check_shown()
        if asked.calibration == "pmi_dc" and not self.template.premise.strip():
            raise UserError(
                "calibration pmi_dc needs words behind the last column of prompt_template, such as 'Topic:'"
            )
        given = asked.label_words
        words = choose_words(names, given and {name: str(word) for name, word in given.items()})
        self.model = load_asked(arguments.model, args)
        tokenizer = load_tokenizer(arguments.model)
        assert tokenizer is not None  # a checkpoint is named
        check_vocabulary(self.model, tokenizer, str(arguments.model.model_name_or_path))
        self.pad_token_id: int = tokenizer.pad_token_id or 0
        self.encoder = PromptEncoder(
            tokenizer,
            self.template,
            words,
            limit=context_limit(arguments, self.model),
            is_encoder_decoder=self.model.config.is_encoder_decoder,
        )
        self.calibration = asked.calibration
        self.length_normalization = asked.length_normalization
        self.batch_size = args.per_device_eval_batch_size

    def texts(self, row: Mapping[str, Any]) -> dict[str, str]:
        """Return a row's texts by column, and by the names that every template may use."""
        own = [row[name] for name in self.fields]
        return {**dict(zip(ALIASES, (own * 2)[:2])), **dict(zip(self.fields, own, strict=True))}

    def demonstrate(self, row: Mapping[str, Any], number: int) -> str:
        """Write a row with the word of its class."""
        return self.encoder.demonstrate(self.texts(row), number)

    def answer(self, rows: Sequence[Mapping[str, Any]], demonstrations: Sequence[str]) -> Answers:
        """Ask about every row, behind the same demonstrations."""
        started = time.perf_counter()
        prompts = [self.encoder.encode(self.texts(row), demonstrations) for row in rows]
        scores = self._scores(prompts)
        better = None if self.calibration == "none" else calibrated(scores, self._baseline(demonstrations))
        return Answers(log_probabilities(scores), better, time.perf_counter() - started, prompts)

    def _scores(self, prompts: Sequence[Prompt]) -> np.ndarray:
        scores = word_log_likelihoods(self.model, prompts, pad_token_id=self.pad_token_id, batch_size=self.batch_size)
        return per_token(scores, prompts) if self.length_normalization else scores

    def _baseline(self, demonstrations: Sequence[str]) -> np.ndarray:
        if self.calibration == "pmi_dc":
            return self._scores([self.encoder.ask(self.template.premise)])[0]
        columns = self.template.columns
        free = [self.encoder.encode(dict.fromkeys(columns, text), demonstrations) for text in CONTENT_FREE]
        return contextual_baseline(self._scores(free))

    def _check_shown(self) -> None:
        """Refuse a template that leaves a column of texts out."""
        for name, alias in zip(self.fields, ALIASES):
            if not {name, alias} & self.template.shown:
                raise UserError(f"prompt_template has no place for {{{name}}}: {self.template.wording!r}")
        if len(self.fields) == 1 and ALIASES[1] in self.template.shown - set(self.fields):
            raise UserError(f"prompt_template asks for {{{ALIASES[1]}}}: name its column with text_pair_column")


def load_asked(model: ModelArguments, args: TrainingArguments) -> PreTrainedModel:
    """Load the model where it runs, in the precision that it computes in.

    Raises:
        UserError: There is none, or it is one that continues no text.
    """
    name = model.model_name_or_path
    assert name is not None
    stored = read_config(name, revision=model.model_revision, trust_remote_code=model.trust_remote_code)
    objective = pretraining_objective(stored)
    if objective not in ("causal", "span"):
        raise UserError(
            f"model_name_or_path {name!r} is a {stored.model_type}, which continues no text: prompts are for causal "
            "models and encoder-decoders; fine-tune this one"
        )
    head = HEAD_OF[objective]
    config = load_config(
        name,
        head=head,
        revision=model.model_revision,
        trust_remote_code=model.trust_remote_code,
        overrides=model.config_overrides,
    )
    loaded = load_model(
        name,
        config,
        head=head,
        revision=model.model_revision,
        trust_remote_code=model.trust_remote_code,
        attn_implementation=model.attn_implementation,
    )
    dtype = torch.bfloat16 if args.bf16 else torch.float16 if args.fp16 else torch.float32
    return loaded.to(device=args.device, dtype=dtype).eval()


def context_limit(arguments: Arguments, model: PreTrainedModel) -> int | None:
    """Return how many tokens the model may read at once: what was asked for, else as many as it has positions for.

    Raises:
        UserError: More was asked for than it has.
    """
    wanted, positions = arguments.data.max_seq_length, positions_of(model.config)
    if wanted is not None:
        check_positions(positions, wanted, str(arguments.model.model_name_or_path))
    return wanted or positions


def describe_fit(prompts: Sequence[Prompt], shots: int, limit: int | None) -> list[str]:
    """Say which prompts had no room for all that they were to show; nothing where all had."""
    shown = Counter(prompt.num_demonstrations for prompt in prompts)
    fewer, cut = len(prompts) - shown[shots], sum(prompt.is_cut for prompt in prompts)
    said = []
    if fewer:
        least, most = min(shown), max(count for count in shown if count < shots)
        span = f"{least} to {most}" if least < most else f"{least}"
        said.append(
            f"{fewer:,} of {len(prompts):,} prompts show only {span} of {shots} demonstrations: {limit} tokens hold "
            "no more"
        )
    if cut:
        said.append(f"{cut:,} of {len(prompts):,} texts were cut to fit {limit} tokens")
    return said
