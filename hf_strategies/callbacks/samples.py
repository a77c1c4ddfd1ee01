"""Completions of held-out prompts, printed as training goes."""

import logging
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedTokenizerBase, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from hf_strategies.distributed.sharding import is_sharded
from hf_strategies.errors import UserError
from hf_strategies.reports.events import EventLog
from hf_strategies.reports.terminal import printable

SHOWN_LINES = 4  # of each text

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sample:
    """A prompt, what the model made of it, and how it really went on (may be empty)."""

    prompt: str
    completion: str
    reference: str = ""


def format_sample(sample: Sample, *, width: int, encoding: str = "utf-8") -> str:
    """Show a sample in a few lines of at most `width` columns: the prompt's end, and how two texts go on from it.

    What a terminal of that encoding cannot show, and what it would obey, is escaped.
    """
    parts = [
        ("prompt", sample.prompt.rstrip("\n").split("\n")[-SHOWN_LINES:]),
        ("model", sample.completion.split("\n")[:SHOWN_LINES]),
        ("text", sample.reference.split("\n")[:SHOWN_LINES] if sample.reference else []),
    ]
    shown = []
    for label, lines in parts:
        for number, line in enumerate(lines):
            text = printable(line.expandtabs(4), encoding)
            shown.append(f"  {label if number == 0 else '':>8} | {text}"[:width].rstrip())
    return "\n".join(shown)


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Evaluate `model` inside without gradients; its modules' modes and torch's random streams are put back after."""
    modes = {module: module.training for module in model.modules()}
    device = next(model.parameters()).device
    model.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng([] if device.type == "cpu" else [device]):
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def complete(
    model: Any, tokenizer: PreTrainedTokenizerBase, prompt: str, *, max_new_tokens: int, do_sample: bool = False
) -> str:
    """Continue `prompt` by up to `max_new_tokens` tokens, from as much of its end as the model has positions for.

    New tokens take at most all of the model's positions but one; an empty prompt begins with the BOS, or else the EOS.

    Raises:
        UserError: The prompt is empty and the tokenizer has neither.
    """
    room = getattr(model.config, "max_position_embeddings", None)
    tokens = tokenizer(prompt, add_special_tokens=False)["input_ids"] or [_first_token(tokenizer)]
    if room is not None:
        max_new_tokens = min(max_new_tokens, room - 1)
        tokens = tokens[-(room - max_new_tokens) :]
    ids = torch.tensor([tokens], device=next(model.parameters()).device)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    output = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=max_new_tokens,
        do_sample=do_sample,
        pad_token_id=pad,
    )
    start = 0 if model.config.is_encoder_decoder else ids.shape[1]
    return tokenizer.decode(output[0, start:], skip_special_tokens=True)


def _first_token(tokenizer: PreTrainedTokenizerBase) -> int:
    for token in (tokenizer.bos_token_id, tokenizer.eos_token_id):
        if token is not None:
            return token
    raise UserError("an empty prompt needs a tokenizer with a BOS or an EOS token, got neither")


class SamplePrinterCallback(TrainerCallback):
    """Print completions of `prompts` before training and after its end, and at evaluations if asked.

    Rank 0 prints; where the weights are sharded (ZeRO-3, FSDP) one rank cannot generate alone, and it says so once
    instead. Generation leaves torch's random streams, the modules' modes and the gradients as they were. Cost: one
    generation per prompt.

    Args:
        prompts: Texts to continue, none of which the model trains on.
        references: How those texts really go on, one for each prompt, or empty.
        max_new_tokens: Length of a completion, in tokens.
        do_sample: Draw tokens instead of taking the likeliest.
        answer: What to print of (model, tokenizer, prompt) in the place of a completion (see `gaps`); None continues.
        at_evaluations: Also print at every evaluation.
        tokenizer: Defaults to the trainer's `processing_class`.
        event_log: The file of events where each round is also recorded; None records nothing.

    Raises:
        UserError: There are references, but not one for each prompt; or the model does not generate, or there is no
            tokenizer (when training begins).
    """

    is_interrupted = False

    def __init__(
        self,
        prompts: Sequence[str],
        *,
        references: Sequence[str] = (),
        max_new_tokens: int = 48,
        do_sample: bool = False,
        answer: Callable[[Any, PreTrainedTokenizerBase, str], str] | None = None,
        at_evaluations: bool = False,
        tokenizer: PreTrainedTokenizerBase | None = None,
        event_log: str | Path | None = None,
    ) -> None:
        if references and len(references) != len(prompts):
            raise UserError(f"expected one reference for each of {len(prompts)} prompts, got {len(references)}")
        self.prompts = list(prompts)
        self.references = list(references) or [""] * len(self.prompts)
        self.answer = answer or partial(complete, max_new_tokens=max_new_tokens, do_sample=do_sample)
        self.generates = answer is None
        self.at_evaluations = at_evaluations
        self.tokenizer = tokenizer
        self._events = None if event_log is None else EventLog(Path(event_log))
        self._said_why = False

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if state.global_step == 0:  # a resumed run has printed them
            self._print(state, **kwargs)

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self.at_evaluations and 0 < state.global_step < state.max_steps:
            self._print(state, **kwargs)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if not self.is_interrupted:  # an interruption is not the end, and may be in a hurry
            self._print(state, **kwargs)

    def _print(self, state: TrainerState, model: Any, processing_class: Any = None, **kwargs: Any) -> None:
        if not state.is_world_process_zero:
            return
        if is_sharded(model):
            if not self._said_why:
                logger.warning("samples are not printed: the weights are sharded, one rank cannot generate alone")
            self._said_why = True
            return
        samples = self._generate(model, self.tokenizer or processing_class)
        print(f"samples at step {state.global_step}")
        width, encoding = shutil.get_terminal_size((119, 24)).columns, sys.stdout.encoding or "utf-8"
        print("\n\n".join(format_sample(sample, width=width, encoding=encoding) for sample in samples), flush=True)
        if self._events is not None:
            records = [
                {name: text for name, text in asdict(sample).items() if text or name != "reference"}
                for sample in samples
            ]
            self._events.append("samples", step=state.global_step, samples=records)

    def _generate(self, model: Any, tokenizer: PreTrainedTokenizerBase | None) -> list[Sample]:
        if tokenizer is None or (self.generates and not getattr(model, "can_generate", lambda: False)()):
            missing = "a tokenizer (the trainer's processing_class)" if tokenizer is None else "a model that generates"
            raise UserError(f"printing samples needs {missing}, got {type(model).__name__} and {tokenizer!r}")
        with undisturbed(model):
            return [
                Sample(prompt, self.answer(model, tokenizer, prompt), reference)
                for prompt, reference in zip(self.prompts, self.references)
            ]
