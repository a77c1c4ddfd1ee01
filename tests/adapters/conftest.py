from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertForTokenClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    MambaConfig,
    MambaForCausalLM,
    PreTrainedModel,
    RobertaConfig,
    RobertaForSequenceClassification,
    T5Config,
    T5ForConditionalGeneration,
    ViTConfig,
    ViTForImageClassification,
)

SIZES = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
TEXT = {**SIZES, "vocab_size": 64}
LLAMA = {**TEXT, "num_key_value_heads": 1, "max_position_embeddings": 64, "pad_token_id": 0}

# Each architecture with its task, as peft calls it.
MODELS: dict[str, tuple[str | None, Callable[[], PreTrainedModel]]] = {
    "llama": ("CAUSAL_LM", lambda: LlamaForCausalLM(LlamaConfig(**LLAMA))),
    "gpt2": (
        "CAUSAL_LM",
        lambda: GPT2LMHeadModel(
            GPT2Config(
                vocab_size=64, n_positions=64, n_embd=16, n_layer=2, n_head=2, bos_token_id=None, eos_token_id=None
            )
        ),
    ),
    "mamba": (
        "CAUSAL_LM",
        lambda: MambaForCausalLM(MambaConfig(vocab_size=64, hidden_size=16, num_hidden_layers=2, state_size=4)),
    ),
    "t5": (
        "SEQ_2_SEQ_LM",
        lambda: T5ForConditionalGeneration(
            T5Config(
                vocab_size=64, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2, decoder_start_token_id=0,
                dropout_rate=0.0,
            )
        ),
    ),
    "bert": ("SEQ_CLS", lambda: BertForSequenceClassification(BertConfig(**TEXT, num_labels=3))),
    "roberta": (
        "SEQ_CLS",
        lambda: RobertaForSequenceClassification(RobertaConfig(**TEXT, num_labels=3, max_position_embeddings=66)),
    ),
    "distilbert": (
        "SEQ_CLS",
        lambda: DistilBertForSequenceClassification(
            DistilBertConfig(vocab_size=64, dim=16, n_heads=2, hidden_dim=32, n_layers=2, num_labels=3)
        ),
    ),
    "llama classifier": ("SEQ_CLS", lambda: LlamaForSequenceClassification(LlamaConfig(**LLAMA, num_labels=3))),
    "bert tokens": ("TOKEN_CLS", lambda: BertForTokenClassification(BertConfig(**TEXT, num_labels=3))),
    "vit": (
        None,
        lambda: ViTForImageClassification(ViTConfig(**SIZES, image_size=16, patch_size=8, num_labels=3)),
    ),
}  # fmt: skip


def build_model(architecture: str) -> PreTrainedModel:
    """A random model, the same weights each time, in evaluation mode."""
    torch.manual_seed(0)
    return MODELS[architecture][1]().eval()


def build_batch(architecture: str) -> dict[str, Any]:
    """Two rows that the architecture can compute a loss of."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.tensor([0, 2])
    if architecture == "vit":
        return {"pixel_values": torch.rand(2, 3, 16, 16, generator=generator), "labels": labels}
    ids = torch.randint(1, 64, (2, 8), generator=generator)
    row_labels = {"SEQ_CLS": labels, "TOKEN_CLS": ids % 3}.get(MODELS[architecture][0], ids)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": row_labels}


@pytest.fixture
def task_of() -> Callable[[str], str | None]:
    return lambda architecture: MODELS[architecture][0]


@pytest.fixture
def tiny_model() -> Callable[[str], PreTrainedModel]:
    return build_model


@pytest.fixture
def tiny_batch() -> Callable[[str], dict[str, Any]]:
    return build_batch
