"""How well a language model predicts, in units that do not depend on its tokenizer.

A mean over batches is not a mean over tokens when the last batch is short, so these sum over tokens. Bits per byte
divides by the bytes of the text: models with different vocabularies can be compared.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hf_strategies.metrics.inputs import IGNORED, first_output
from hf_strategies.metrics.perplexity import perplexity_of


def next_token_nll(logits: Tensor, labels: Tensor) -> Tensor:
    """Sum the negative log-likelihood of each row's targets, and count them.

    Made for Trainer's `preprocess_logits_for_metrics`: two numbers per row leave the device instead of its logits.

    Args:
        logits: `[rows, tokens, vocabulary]`; position t predicts label t + 1.
        labels: `[rows, tokens]`, -100 where there is no target.

    Returns:
        Nats and targets. `[rows, 2]`, float32: not every device has more.
    """
    return token_nll(logits[:, :-1], labels[:, 1:])


def token_nll(logits: Tensor | tuple[Tensor, ...], labels: Tensor) -> Tensor:
    """Do what `next_token_nll` does, of models whose logits at a position are for the label there.

    Args:
        logits: `[rows, tokens, vocabulary]`, or a tuple that begins with them, as encoder-decoders give it.
        labels: `[rows, tokens]`, -100 where there is no target.
    """
    rows = []
    logits = first_output(logits)
    for row_logits, row_labels in zip(logits, labels, strict=True):  # one row at a time: float32 logits are large
        nats = F.cross_entropy(row_logits.float(), row_labels, ignore_index=IGNORED, reduction="sum")
        rows.append(torch.stack([nats, (row_labels != IGNORED).sum().float()]))
    return torch.stack(rows)


def language_modeling_metrics(rows: np.ndarray, *, num_bytes: float | None) -> dict[str, float]:
    """Turn what `next_token_nll` gave for a whole evaluation set into its metrics.

    Args:
        rows: Nats and targets of each row. `[rows, 2]`.
        num_bytes: UTF-8 bytes of the text that the targets spell; None leaves bits per byte out.

    Returns:
        `loss`, in nats per token; its `perplexity` (infinite past the range of a float), and `bits_per_byte`.
    """
    nats, targets = (float(total) for total in rows.sum(axis=0, dtype=np.float64))
    loss = nats / max(targets, 1.0)
    metrics = {"loss": loss, "perplexity": perplexity_of(loss)}
    if num_bytes:
        metrics["bits_per_byte"] = nats / math.log(2) / num_bytes
    return metrics
