import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForImageClassification,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    BartConfig,
    BertConfig,
    BertModel,
    DistilBertConfig,
    GPT2Config,
    LlamaConfig,
    RobertaConfig,
    T5Config,
    ViTConfig,
)

from hf_strategies.module_tree.heads import head_names

SIZES = {"hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 16, "num_hidden_layers": 1}
TEXT = {**SIZES, "vocab_size": 32}
T5_SIZES = {"vocab_size": 32, "d_model": 8, "d_kv": 4, "d_ff": 16, "num_layers": 1, "num_heads": 2}
BART_SIZES = {"vocab_size": 32, "d_model": 8, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 8}


@pytest.mark.parametrize(
    ("auto_class", "config", "heads"),
    [
        (AutoModelForSequenceClassification, BertConfig(**TEXT), ["classifier"]),
        (AutoModelForSequenceClassification, RobertaConfig(**TEXT), ["classifier"]),
        (
            AutoModelForSequenceClassification,
            DistilBertConfig(vocab_size=32, dim=8, n_heads=2, hidden_dim=16, n_layers=1),
            ["pre_classifier", "classifier"],
        ),
        (AutoModelForSequenceClassification, LlamaConfig(**TEXT), ["score"]),
        (AutoModelForSequenceClassification, T5Config(**T5_SIZES), ["classification_head"]),
        (
            AutoModelForSequenceClassification,
            BartConfig(**BART_SIZES, encoder_attention_heads=2, decoder_attention_heads=2, decoder_ffn_dim=8),
            ["classification_head"],
        ),
        (AutoModelForImageClassification, ViTConfig(**SIZES, image_size=16), ["classifier"]),
        # What predicts tokens was pretrained, tied to the embeddings or not.
        (AutoModelForCausalLM, LlamaConfig(**TEXT, tie_word_embeddings=False), []),
        (AutoModelForCausalLM, GPT2Config(vocab_size=32, n_embd=8, n_layer=1, n_head=2), []),
        (AutoModelForMaskedLM, BertConfig(**TEXT), []),
        (AutoModelForSeq2SeqLM, T5Config(**T5_SIZES, tie_word_embeddings=False), []),
    ],
    ids=lambda value: value.model_type if hasattr(value, "model_type") else "",
)
def test_a_head_is_what_a_task_adds(auto_class, config, heads):
    with torch.device("meta"):
        assert head_names(auto_class.from_config(config)) == heads


def test_a_bare_body_has_no_head():
    assert head_names(BertModel(BertConfig(**TEXT))) == []
