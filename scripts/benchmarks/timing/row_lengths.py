"""Time training steps of the architectures on rows of several lengths."""

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from hf_strategies.models import resolve_sizes
from hf_strategies.models.factory import create_config, create_model
from hf_strategies.models.mixing import attends, describe_mixing
from hf_strategies.runs.process import keep_freed_memory

VOCABULARY = 256  # bytes: a head that is small beside the blocks
NO_TOKENS = dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"))


@dataclass(frozen=True)
class Growth:
    """What an architecture's step costs.

    Args:
        seconds: By tokens of a row.
        attends: Whether it has attention.
        mixing: What mixes its tokens, and by which code.
        num_parameters: At the longest length, where positions are learned.
    """

    seconds: dict[int, float]
    attends: bool
    mixing: str
    num_parameters: int


def time_lengths(
    names: Sequence[str], lengths: Sequence[int], *, sizes: Mapping[str, int], repetitions: int
) -> dict[str, Growth]:
    """Let each architecture take a step at all lengths, and all of that again; a time is the median of a kind.

    Args:
        names: On the shelf.
        lengths: Tokens per row, shortest first.
        sizes: Of every model, as far as it has them.
        repetitions: Steps of each kind.
    """
    keep_freed_memory(largest=None)  # what the kernel takes to clear new pages jumps at 32 MiB
    device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")
    models = {(name, length): _build(name, length, sizes).to(device) for name in names for length in lengths}
    seconds: dict[tuple[str, int], list[float]] = {pair: [] for pair in models}
    for name in names:
        _step(models[name, lengths[0]], lengths[0])  # the first one anywhere takes longer
        for _ in range(repetitions):
            for length in lengths:
                seconds[name, length].append(_step(models[name, length], length))
    found = {}
    for name in names:
        model = models[name, lengths[-1]]
        times = {length: statistics.median(seconds[name, length]) for length in lengths}
        mixing = describe_mixing(model.config) or "a recurrence"
        found[name] = Growth(times, attends(model.config), mixing, model.num_parameters())
    return found


def _build(name: str, length: int, sizes: Mapping[str, int]) -> PreTrainedModel:
    resolved, _ = resolve_sizes(name, sizes)
    torch.manual_seed(0)
    config = create_config(name, vocab_size=VOCABULARY, max_seq_length=length, sizes=resolved, tokens=NO_TOKENS)
    return create_model(config).train()


def _step(model: PreTrainedModel, length: int) -> float:
    """Time a forward and a backward pass over one row; on a CPU in this process's own seconds."""
    ids = torch.randint(VOCABULARY, (1, length), device=model.device)
    start = _now()
    model(input_ids=ids, labels=ids).loss.backward()
    model.zero_grad()
    return _now() - start


def _now() -> float:
    if not torch.accelerator.is_available():
        return time.process_time()
    torch.accelerator.synchronize()
    return time.perf_counter()
