"""What a model writes of held-out rows, before it is fine-tuned and after."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase, TrainerCallback

from hf_strategies.arguments import Arguments
from hf_strategies.callbacks.samples import SamplePrinterCallback
from hf_strategies.data.labelled import Row
from hf_strategies.runs.output_folder import EVENTS
from hf_strategies.tasks.task import Task, Writes


def sample_callbacks(
    arguments: Arguments, task: Task, rows: Sequence[Row], processor: Any, folder: Path
) -> list[TrainerCallback]:
    """Let the model answer the first rows; nothing of a task in which nothing is written.

    Args:
        arguments: What was asked for.
        task: Settled.
        rows: None of which the model trains on.
        processor: Its tokenizer.
        folder: Of the run.
    """
    count = arguments.run.num_completions
    if not count or not isinstance(task, Writes):
        return []
    asked = [task.question(row, processor) for row in rows[:count]]
    answer = partial(
        write_answer,
        tokens={question.text: question.tokens for question in asked},
        max_new_tokens=arguments.run.max_new_tokens,
    )
    prompts, references = [question.text for question in asked], [question.answer for question in asked]
    return [SamplePrinterCallback(prompts, references=references, answer=answer, event_log=folder / EVENTS)]


def write_answer(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    prompt: str,
    *,
    tokens: Mapping[str, Sequence[int]],
    max_new_tokens: int,
) -> str:
    """Write what a model takes for the answer, by its likeliest tokens.

    Args:
        model: A decoder, or an encoder-decoder.
        tokenizer: Its own.
        prompt: A key of `tokens`.
        tokens: Of each prompt, as the model is trained on it; what it has no positions for is left out in front.
        max_new_tokens: Length of the answer.
    """
    wanted = list(tokens[prompt])
    room = getattr(model.config, "max_position_embeddings", None)
    if room is not None:
        max_new_tokens = min(max_new_tokens, room - 1)
        wanted = wanted[-(room - max_new_tokens) :]
    ids = torch.tensor([wanted], device=next(model.parameters()).device)
    output = model.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=max_new_tokens, do_sample=False,
        pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    start = 0 if model.config.is_encoder_decoder else ids.shape[1]
    return tokenizer.decode(output[0, start:], skip_special_tokens=True)
