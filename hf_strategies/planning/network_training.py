"""Training within a time: the rate falls to zero by updates or by seconds, whichever end is nearer."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from hf_strategies.optimizers import create_optimizer

FEWEST_UPDATES = 300  # on few examples an epoch is too short to count
WARMUP = 0.1
FIRST = 1e-3  # of a run is taken to be done at its first update, which is to do something
CLIP = 1.0


@dataclass(frozen=True, kw_only=True)
class Training:
    """How to train.

    Args:
        rate: Highest learning rate of AdamW.
        weight_decay: Of matrices.
        batch_size: Examples of an update.
        epochs: Passes over the examples; more where that is too few updates.
        device: Where.
    """

    rate: float
    weight_decay: float
    batch_size: int
    epochs: float
    device: torch.device


def train(
    model: nn.Module,
    batch: Callable[[Sequence[int]], Mapping[str, Tensor]],
    classes: np.ndarray,
    places: Sequence[int],
    training: Training,
    *,
    seed: int,
    seconds: float,
) -> bool:
    """Train a classifier, in place.

    Nothing is chosen by the validation rows, neither length nor weights: what they say afterwards is not flattered.

    Args:
        model: To be trained.
        batch: Makes a batch of the rows at these places.
        classes: Of all rows.
        places: Of the rows to train on.
        training: How.
        seed: Of the order, and of dropout.
        seconds: The time there is.

    Returns:
        Whether it sufficed.
    """
    model.to(training.device).train()
    optimizer = create_optimizer("adamw", model, lr=training.rate, weight_decay=training.weight_decay)
    size = min(training.batch_size, len(places))
    per_epoch = math.ceil(len(places) / size)
    updates = max(FEWEST_UPDATES, math.ceil(training.epochs * per_epoch))
    chance = np.random.default_rng(seed)
    torch.manual_seed(seed)
    begin, order = time.perf_counter(), np.empty(0, dtype=int)
    for update in range(updates):
        elapsed = (time.perf_counter() - begin) / seconds
        if elapsed >= 1.0:
            return False
        if len(order) < size:  # the rest of an epoch is too small a batch for its statistics
            order = chance.permutation(np.asarray(places))
        taken, order = order[:size], order[size:]
        for group in optimizer.param_groups:
            group["lr"] = training.rate * rate_factor(max(update / updates, elapsed))
        logits = logits_of(model, batch(taken.tolist()), training.device)
        wanted = torch.from_numpy(classes[taken]).to(training.device)
        nn.functional.cross_entropy(logits.float(), wanted).backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        optimizer.zero_grad()
    return True


def rate_factor(done: float) -> float:
    """Return the rate's factor when this share of a run is done: it rises in its first tenth, and falls to zero."""
    return min((done + FIRST) / WARMUP, (1.0 - done) / (1.0 - WARMUP))


def logits_of(model: nn.Module, inputs: Mapping[str, Tensor], device: torch.device) -> Tensor:
    """Return a classifier's scores, `[rows, classes]`."""
    output = model(**{name: value.to(device) for name, value in inputs.items()})
    return getattr(output, "logits", output)
