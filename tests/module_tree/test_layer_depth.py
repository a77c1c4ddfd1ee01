"""Depths of real architectures, built small from their configs, against what their papers' figures show."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import (
    AlbertConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForImageClassification,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForSpeechSeq2Seq,
    BertConfig,
    ConvNextConfig,
    DistilBertConfig,
    GPT2Config,
    LlamaConfig,
    MambaConfig,
    MobileBertConfig,
    RobertaConfig,
    SwinConfig,
    T5Config,
    ViTConfig,
    WhisperConfig,
    XLMConfig,
)

from hf_strategies.errors import UserError
from hf_strategies.module_tree.layer_depth import layer_depths
from hf_strategies.module_tree.names import named_parameters

BERT_SIZES = {"hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 16, "vocab_size": 32}
LLAMA = LlamaConfig(**BERT_SIZES, num_hidden_layers=3, tie_word_embeddings=False)


def depths_by_name(model: nn.Module) -> tuple[dict[str, int], int]:
    depths, output = layer_depths(model, needed_by="layerwise_lr_decay", instead="give rates by rules")
    return {name: depths[param] for name, param in named_parameters(model).items()}, output


def build(auto_class, config) -> nn.Module:
    with torch.device("meta"):
        return auto_class.from_config(config)


def by_name(starts: dict[str, int], name: str) -> int:
    """Look a parameter up in a table written by hand: the longest start of its name decides."""
    return starts[max((start for start in starts if name.startswith(start)), key=len)]


TABLES = {
    "bert": (
        AutoModelForSequenceClassification,
        BertConfig(**BERT_SIZES, num_hidden_layers=3),
        {
            "bert.embeddings": 0,
            "bert.encoder.layer.0": 1,
            "bert.encoder.layer.1": 2,
            "bert.encoder.layer.2": 3,
            "bert.pooler": 4,
            "classifier": 4,
        },
    ),
    "vit": (
        AutoModelForImageClassification,
        ViTConfig(hidden_size=8, num_attention_heads=2, intermediate_size=16, num_hidden_layers=2, image_size=16),
        {"vit.embeddings": 0, "vit.layers.0": 1, "vit.layers.1": 2, "vit.layernorm": 3, "classifier": 3},
    ),
    "llama": (
        AutoModelForCausalLM,
        LLAMA,
        {
            "model.embed_tokens": 0,
            "model.layers.0": 1,
            "model.layers.1": 2,
            "model.layers.2": 3,
            "model.norm": 4,
            "lm_head": 4,
        },
    ),
    "gpt2, whose head is its embedding": (
        AutoModelForCausalLM,
        GPT2Config(vocab_size=32, n_positions=8, n_embd=8, n_layer=2, n_head=2),
        {"transformer.w": 0, "transformer.h.0": 1, "transformer.h.1": 2, "transformer.ln_f": 3},
    ),
    "roberta": (
        AutoModelForSequenceClassification,
        RobertaConfig(**BERT_SIZES, num_hidden_layers=2),
        {"roberta.embeddings": 0, "roberta.encoder.layer.0": 1, "roberta.encoder.layer.1": 2, "classifier": 3},
    ),
    "distilbert": (
        AutoModelForSequenceClassification,
        DistilBertConfig(vocab_size=32, dim=8, n_heads=2, hidden_dim=16, n_layers=2),
        {
            "distilbert.embeddings": 0,
            "distilbert.transformer.layer.0": 1,
            "distilbert.transformer.layer.1": 2,
            "pre_classifier": 3,
            "classifier": 3,
        },
    ),
    "mamba": (
        AutoModelForCausalLM,
        MambaConfig(vocab_size=32, hidden_size=8, num_hidden_layers=2),
        {"backbone.embeddings": 0, "backbone.layers.0": 1, "backbone.layers.1": 2, "backbone.norm_f": 3},
    ),
    "t5, whose decoder counts on from its encoder": (
        AutoModelForSeq2SeqLM,
        T5Config(vocab_size=32, d_model=8, d_kv=4, d_ff=16, num_layers=2, num_decoder_layers=1, num_heads=2),
        {
            "shared": 0,
            "encoder.block.0": 1,  # its table of relative positions too, though that is an nn.Embedding
            "encoder.block.1": 2,
            "encoder.final_layer_norm": 2,
            "decoder.block.0": 3,
            "decoder.final_layer_norm": 4,
        },
    ),
    "whisper, whose decoder has embeddings of its own": (
        AutoModelForSpeechSeq2Seq,
        WhisperConfig(
            d_model=8, encoder_layers=1, decoder_layers=2, encoder_attention_heads=2, decoder_attention_heads=2,
            encoder_ffn_dim=16, decoder_ffn_dim=16, vocab_size=32, pad_token_id=0, bos_token_id=1, eos_token_id=2,
            decoder_start_token_id=1, num_mel_bins=4,
        ),
        None,
    ),
    "swin, whose stages hold the blocks": (
        AutoModelForImageClassification,
        SwinConfig(image_size=32, patch_size=4, embed_dim=8, depths=[1, 2], num_heads=[1, 2], window_size=4),
        {
            "swin.embeddings": 0,
            "swin.encoder.layers.0": 1,
            "swin.encoder.layers.1.blocks.0": 2,
            "swin.encoder.layers.1.blocks.1": 3,
            "swin.layernorm": 4,
            "classifier": 4,
        },
    ),
    "convnext, whose stages begin with what joins them": (
        AutoModelForImageClassification,
        ConvNextConfig(depths=[1, 2], hidden_sizes=[8, 16], num_stages=2),
        {
            "convnext.embeddings": 0,
            "convnext.encoder.stages.0": 1,
            "convnext.encoder.stages.1.downsampling_layer": 1,
            "convnext.encoder.stages.1.layers.0": 2,
            "convnext.encoder.stages.1.layers.1": 3,
            "convnext.layernorm": 4,
            "classifier": 4,
        },
    ),
    "albert, whose layers share one set of weights": (
        AutoModel,
        AlbertConfig(**BERT_SIZES, embedding_size=4, num_hidden_layers=4),
        {
            "embeddings": 0,
            "encoder.embedding_hidden_mapping_in": 0,
            "encoder.albert_layer_groups.0": 1,
            "pooler": 2,
        },
    ),
    "mobilebert, whose blocks hold a list of layers": (
        AutoModel,
        MobileBertConfig(vocab_size=32, num_hidden_layers=2, hidden_size=8, embedding_size=4, num_attention_heads=2),
        {"embeddings": 0, "encoder.layer.0": 1, "encoder.layer.1": 2, "pooler": 3},
    ),
    "xlm, whose blocks are spread over lists side by side": (
        AutoModel,
        XLMConfig(vocab_size=32, emb_dim=8, n_layers=2, n_heads=2),
        {
            "position_embeddings": 0,
            "embeddings": 0,
            "layer_norm_emb": 0,
            **{f"{part}.0": 1 for part in ("attentions", "layer_norm1", "ffns", "layer_norm2")},
            **{f"{part}.1": 2 for part in ("attentions", "layer_norm1", "ffns", "layer_norm2")},
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("which", [name for name, (_, _, table) in TABLES.items() if table])
def test_depths_are_those_of_a_table_written_by_hand(which):
    auto_class, config, table = TABLES[which]
    depths, output = depths_by_name(build(auto_class, config))
    assert depths == {name: by_name(table, name) for name in depths}
    assert all(any(name.startswith(start) for name in depths) for start in table)  # no line of it is idle
    if which != "xlm, whose blocks are spread over lists side by side":  # it has nothing after its blocks
        assert output == max(table.values())


def test_positions_of_a_second_stack_are_embeddings_too():
    depths, output = depths_by_name(build(*TABLES["whisper, whose decoder has embeddings of its own"][:2]))
    assert depths["model.decoder.embed_positions.weight"] == 0
    assert depths["model.encoder.conv1.weight"] == 0
    assert depths["model.encoder.layer_norm.weight"] == depths["model.encoder.layers.0.fc1.weight"] == 1
    assert depths["model.decoder.layers.0.fc1.weight"] == 2
    assert (depths["model.decoder.layer_norm.weight"], output) == (4, 4)


def test_adapters_stand_where_what_they_adapt_stands():
    model = get_peft_model(AutoModelForCausalLM.from_config(LLAMA), LoraConfig(r=2, target_modules=["q_proj"]))
    depths, output = depths_by_name(model)
    assert [depths[f"model.layers.{n}.self_attn.q_proj.lora_B.default.weight"] for n in range(3)] == [1, 2, 3]
    assert output == 4


def test_a_model_without_layers_is_refused():
    with pytest.raises(UserError, match=r"layerwise_lr_decay finds no layers in Sequential: .*; give rates by rules"):
        depths_by_name(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)))


def test_a_list_of_embeddings_is_no_stack_of_blocks():
    model = nn.ModuleDict({
        "tables": nn.ModuleList([nn.Embedding(3, 2), nn.Embedding(3, 2)]),
        "layers": nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)]),
    })  # fmt: skip
    depths, output = depths_by_name(model)
    assert [depths[f"tables.{n}.weight"] for n in (0, 1)] == [0, 0]
    assert [depths[f"layers.{n}.weight"] for n in (0, 1)] == [1, 2]
    assert output == 3
