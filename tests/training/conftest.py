from functools import partial

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel


@pytest.fixture
def numbered_rows() -> list[dict[str, torch.Tensor]]:
    """Twenty-four rows, each of which begins with its own number."""
    rows = torch.randint(0, 32, (24, 8), generator=torch.Generator().manual_seed(0))
    rows[:, 0] = torch.arange(24)
    return [{"input_ids": row, "labels": row} for row in rows]


@pytest.fixture
def build_lm():
    """Build a small model with dropout 0.1, always with the same weights, that notes which rows it trains on."""

    def build() -> GPT2LMHeadModel:
        torch.manual_seed(0)
        model = GPT2LMHeadModel(GPT2Config(n_embd=16, n_layer=2, n_head=2, vocab_size=32, n_positions=8))
        model.seen = []
        model.register_forward_pre_hook(
            lambda module, _, kwargs: module.seen.extend(kwargs["input_ids"][:, 0].tolist()), with_kwargs=True
        )
        return model

    return build


@pytest.fixture
def arguments(arguments):
    """Nine updates of 2 x 4 samples, a checkpoint after each."""
    return partial(arguments, max_steps=9, gradient_accumulation_steps=2, save_strategy="steps", save_steps=1)
