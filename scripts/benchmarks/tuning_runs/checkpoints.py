"""What is measured on checkpoints with transformers alone, as anybody would load them."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)

BATCH = 50
MAX_NEW_TOKENS = 384


@torch.no_grad()
def test_scores(checkpoint: Path, rows: Sequence[Mapping[str, str]], max_length: int) -> dict[str, float]:
    """Score a classifier on rows of `text` and `label` that its run has not seen.

    Returns:
        Its accuracy, and the share of the most frequent class.
    """
    model, tokenizer = _load(AutoModelForSequenceClassification, checkpoint), AutoTokenizer.from_pretrained(checkpoint)
    hits = 0
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        texts = [row["text"] for row in batch]
        encoded = tokenizer(texts, padding=True, truncation=True, max_length=max_length, return_tensors="pt")
        best = model(**encoded).logits.argmax(-1).tolist()
        hits += sum(model.config.id2label[number] == row["label"] for number, row in zip(best, batch, strict=True))
    labels = [row["label"] for row in rows]
    return {
        "test_accuracy": hits / len(rows),
        "test_majority": max(map(labels.count, set(labels))) / len(rows),
    }


@torch.no_grad()
def text_loss(checkpoint: Path, tokens: Sequence[Sequence[int]]) -> float:
    """Return a causal language model's mean loss on texts that are tokens already, in nats per token."""
    model = _load(AutoModelForCausalLM, checkpoint)
    total = count = 0.0
    for text in tokens:
        ids = torch.tensor([text])
        total += float(model(input_ids=ids, labels=ids).loss) * (len(text) - 1)
        count += len(text) - 1
    return total / count


@torch.no_grad()
def sample_texts(checkpoint: Path, count: int, *, seed: int) -> list[list[int]]:
    """Let a causal language model write texts at temperature 1, from the mark of a beginning to that of the next one.

    Returns:
        The tokens of each text, its beginning's mark included; a text that does not end in time is cut.
    """
    model, tokenizer = _load(AutoModelForCausalLM, checkpoint), AutoTokenizer.from_pretrained(checkpoint)
    start = tokenizer.bos_token_id
    stream = torch.Generator().manual_seed(seed)
    texts = torch.full((count, 1), start)
    past = None
    for _ in range(MAX_NEW_TOKENS):
        out = model(input_ids=texts if past is None else texts[:, -1:], past_key_values=past, use_cache=True)
        past = out.past_key_values
        drawn = torch.multinomial(out.logits[:, -1].softmax(-1), 1, generator=stream)
        texts = torch.cat([texts, drawn], dim=1)
        if bool((texts[:, 1:] == start).any(dim=1).all()):
            break
    return [_until(row, start) for row in texts.tolist()]


def save_untrained(like: Path, path: Path, *, seed: int) -> None:
    """Save a checkpoint like another one with weights that were never trained, and its tokenizer."""
    torch.manual_seed(seed)
    AutoModelForMaskedLM.from_config(AutoConfig.from_pretrained(like)).save_pretrained(path)
    AutoTokenizer.from_pretrained(like).save_pretrained(path)


@cache
def tokenizer_at(folder: Path) -> Any:
    return AutoTokenizer.from_pretrained(folder)


def _load(kind: Any, checkpoint: Path) -> nn.Module:
    """Load a checkpoint or an adapter with its own; in full precision, so that all are measured alike."""
    transformers.logging.disable_progress_bar()
    return kind.from_pretrained(checkpoint, dtype=torch.float32).eval()


def _until(tokens: list[int], mark: int) -> list[int]:
    end = tokens.index(mark, 1) if mark in tokens[1:] else len(tokens)
    return tokens[:end]
