import re

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    ViTConfig,
    ViTForImageClassification,
)

from hf_strategies.errors import UserError
from hf_strategies.module_tree.names import named_parameters
from hf_strategies.optimizers.group_spec import parse_group_spec
from hf_strategies.optimizers.param_groups import create_param_groups


def llama(**overrides) -> LlamaForCausalLM:
    sizes = {"vocab_size": 32, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}
    return LlamaForCausalLM(LlamaConfig(**{**sizes, "num_attention_heads": 2, **overrides}))


def gpt2() -> GPT2LMHeadModel:
    ends = {"bos_token_id": 0, "eos_token_id": 0}
    return GPT2LMHeadModel(GPT2Config(vocab_size=32, n_positions=8, n_embd=16, n_layer=1, n_head=2, **ends))


def lora_llama() -> nn.Module:
    return get_peft_model(llama(), LoraConfig(r=2, target_modules=["q_proj", "v_proj"]))


def groups_of(model: nn.Module, settings: dict | None = None, *, halved: bool = False, **rates) -> list[dict]:
    rates = {"lr": 1.0, "weight_decay": 0.1, "adamw_lr": 3.0 if halved else None, **rates}
    return create_param_groups(model, parse_group_spec(settings), optimizer="muon" if halved else "adamw", **rates)


def names_in(model: nn.Module, group: dict) -> set[str]:
    names = {param: name for name, param in named_parameters(model).items()}
    return {names[param] for param in group["params"]}


def facts(groups: list[dict], *names: str) -> list[tuple]:
    return [tuple(group[name] for name in names) for group in groups]


def per_parameter(model: nn.Module, groups: list[dict], fact: str) -> dict[str, float]:
    return {name: group[fact] for group in groups for name in names_in(model, group)}


def test_matrices_decay_and_vectors_do_not():
    model = nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3))
    decayed, spared = groups_of(model)
    assert [param.shape for param in decayed["params"]] == [(3, 4)]
    assert [param.shape for param in spared["params"]] == [(3,), (3,), (3,)]
    assert facts([decayed, spared], "name", "weight_decay", "optimizer", "num_tensors", "num_parameters") == [
        ("weights", 0.1, "adamw", 1, 12),
        ("vectors", 0.0, "adamw", 3, 9),
    ]


def test_embeddings_decay_unless_they_are_to_be_spared():
    model = llama(tie_word_embeddings=False)
    for spared in ({}, {"decay_embeddings": True}):
        assert per_parameter(model, groups_of(model, spared), "weight_decay")["model.embed_tokens.weight"] == 0.1
    decay = per_parameter(model, groups_of(model, {"decay_embeddings": False}), "weight_decay")
    assert decay["model.embed_tokens.weight"] == 0.0
    assert decay["lm_head.weight"] == 0.1  # a linear map, though it has a row per token


def test_a_group_holds_nothing_frozen_and_is_never_empty():
    model = nn.Linear(4, 3)
    model.weight.requires_grad_(False)
    (only,) = groups_of(model)
    assert only["params"] == [model.bias]
    with pytest.raises(UserError, match="'adamw' has nothing to train: every parameter of Linear is frozen"):
        groups_of(model.requires_grad_(False))


@pytest.mark.parametrize("halved", [False, True])
def test_sees_through_zero3_partitioning(halved):
    model = llama()
    whole = facts(groups_of(model, halved=halved), "name", "weight_decay", "num_tensors", "num_parameters")
    for param in model.parameters():
        param.ds_shape = param.shape
        param.data = torch.empty(0)  # what DeepSpeed leaves behind
    assert facts(groups_of(model, halved=halved), "name", "weight_decay", "num_tensors", "num_parameters") == whole


@pytest.mark.parametrize("halved", [False, True])
@pytest.mark.parametrize("tied", [True, False])
def test_every_parameter_is_owned_once_also_when_tied(halved, tied):
    model = llama(tie_word_embeddings=tied)
    settings = {"layerwise_lr_decay": 0.5, "rules": [{"pattern": "mlp", "lr_scale": 2}]}
    groups = groups_of(model, settings, halved=halved)
    assert sorted(id(param) for group in groups for param in group["params"]) == sorted(map(id, model.parameters()))
    assert sum(group["num_parameters"] for group in groups) == sum(param.numel() for param in model.parameters())


def test_hidden_matrices_have_a_half_and_a_rate_of_their_own():
    model = llama(tie_word_embeddings=False)
    groups = groups_of(model, halved=True)
    assert facts(groups, "name", "lr", "weight_decay", "optimizer", "matrix") == [
        ("matrices", 1.0, 0.1, "muon", True),
        ("embeddings", 3.0, 0.1, "adamw", False),
        ("vectors", 3.0, 0.0, "adamw", False),
        ("head", 3.0, 0.1, "adamw", False),
    ]
    matrices = groups[0]
    assert {name.split(".")[-2] for name in names_in(model, matrices)} == {
        *("q_proj", "k_proj", "v_proj", "o_proj"),
        *("gate_proj", "up_proj", "down_proj"),
    }
    assert [layout["shape"] for layout in matrices["layouts"]] == [[1, *param.shape] for param in matrices["params"]]
    assert not any("layouts" in group for group in groups[1:])


def test_learned_positions_are_embeddings_and_fused_projections_know_their_parts():
    model = gpt2()
    matrices, embeddings, _ = groups_of(model, halved=True)
    assert names_in(model, embeddings) == {"transformer.wte.weight", "transformer.wpe.weight"}
    parts = {param: layout["parts"] for param, layout in zip(matrices["params"], matrices["layouts"], strict=True)}
    assert parts[model.transformer.h[0].attn.c_attn.weight] == [16, 16, 16]
    assert parts[model.transformer.h[0].mlp.c_fc.weight] == [64]


def test_a_matrix_half_without_matrices_is_refused():
    with pytest.raises(UserError, match="muon owns 0 parameters: Embedding has no trainable hidden matrix; use adamw"):
        groups_of(nn.Embedding(4, 3), halved=True)


def test_factors_of_rank_one_are_vectors_and_the_refusal_says_so():
    model = get_peft_model(nn.Sequential(nn.Linear(4, 3)), LoraConfig(r=1, target_modules=["0"]))
    with pytest.raises(UserError, match=r"no trainable hidden matrix \(a factor of rank 1 is a vector\); use adamw"):
        groups_of(model, halved=True)


def test_bert_is_decayed_by_layer_as_in_a_table_written_by_hand():
    sizes = {"hidden_size": 8, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 16}
    model = BertForSequenceClassification(BertConfig(vocab_size=32, **sizes))
    rates = per_parameter(model, groups_of(model, {"layerwise_lr_decay": 0.5}), "lr")
    table = {
        "bert.embeddings": 0.0625,
        "bert.encoder.layer.0": 0.125,
        "bert.encoder.layer.1": 0.25,
        "bert.encoder.layer.2": 0.5,
        "bert.pooler": 1.0,
        "classifier": 1.0,
    }
    assert rates == {name: table[next(filter(name.startswith, table))] for name, _ in model.named_parameters()}


def beit_scale(name: str, *, decay: float, num_layers: int) -> float:
    """BEiT's rule for its fine-tuning (layer numbers from names), spelled out for the names that ViT has here."""
    if name.startswith("vit.embeddings"):
        number = 0
    elif block := re.match(r"vit\.layers\.(\d+)\.", name):
        number = int(block[1]) + 1
    else:
        number = num_layers + 1
    return decay ** (num_layers + 1 - number)


def test_vit_is_decayed_by_layer_as_in_the_textbook():
    sizes = {"hidden_size": 8, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 16}
    model = ViTForImageClassification(ViTConfig(image_size=32, **sizes))
    rates = per_parameter(model, groups_of(model, {"layerwise_lr_decay": 0.75}, lr=2.0), "lr")
    assert rates == pytest.approx({name: 2.0 * beit_scale(name, decay=0.75, num_layers=4) for name in rates})
    assert len(rates) == len(list(model.parameters()))


def test_both_halves_are_decayed_by_layer_from_their_own_rates():
    model = llama(tie_word_embeddings=False)
    rates = per_parameter(model, groups_of(model, {"layerwise_lr_decay": 0.5}, halved=True), "lr")
    assert rates["model.layers.1.mlp.up_proj.weight"] == 0.5
    assert rates["model.layers.1.input_layernorm.weight"] == 1.5
    assert rates["model.layers.0.mlp.up_proj.weight"] == 0.25
    assert rates["model.embed_tokens.weight"] == 0.375
    assert rates["lm_head.weight"] == 3.0


def test_groups_by_layer_are_named_as_the_model_counts():
    model = llama(tie_word_embeddings=False, num_hidden_layers=1)
    groups = groups_of(model, {"layerwise_lr_decay": 0.5})
    assert {group["name"]: group["num_tensors"] for group in groups} == {
        "input embeddings": 1,
        "block 0 weights": 7,
        "block 0 vectors": 2,
        "output vectors": 1,
        "output head": 1,
    }


def test_lora_plus_trains_the_second_factor_faster():
    model = lora_llama()
    groups = groups_of(model, {"lora_plus_ratio": 16})
    assert facts(groups, "name", "lr", "num_tensors") == [("weights", 1.0, 4), ("lora_B weights", 16.0, 4)]
    assert all(".lora_B." in name for name in names_in(model, groups[1]))


def test_lora_plus_without_lora_is_refused():
    with pytest.raises(UserError, match="lora_plus_ratio finds no trainable LoRA factor lora_B in LlamaForCausalLM"):
        groups_of(llama(), {"lora_plus_ratio": 16})


def test_rules_change_rate_and_decay_of_what_they_match():
    model = llama(tie_word_embeddings=False)
    settings = {
        "layerwise_lr_decay": 0.5,
        "rules": [
            {"pattern": "lm_head", "lr": 7.0},
            {"pattern": "embed", "lr_scale": 2.0, "weight_decay": 0.3},
            {"pattern": r"^model\.norm", "weight_decay": 0.2},
            {"pattern": r"layers\.0\.mlp", "lr": 7.0},
        ],
    }
    groups = groups_of(model, settings)
    rates, decay = (per_parameter(model, groups, fact) for fact in ("lr", "weight_decay"))
    assert (rates["lm_head.weight"], decay["lm_head.weight"]) == (7.0, 0.1)
    assert (rates["model.embed_tokens.weight"], decay["model.embed_tokens.weight"]) == (0.25, 0.3)
    assert (rates["model.norm.weight"], decay["model.norm.weight"]) == (1.0, 0.2)
    assert rates["model.layers.0.mlp.up_proj.weight"] == 7.0  # the rate itself: not scaled by the layer
    assert rates["model.layers.1.mlp.up_proj.weight"] == 0.5
    assert {"output head matching lm_head", r"block 0 weights matching layers\.0\.mlp"} <= {g["name"] for g in groups}


def test_a_scale_of_zero_is_a_scale():
    model = llama()
    rates = per_parameter(model, groups_of(model, {"rules": [{"pattern": "norm", "lr_scale": 0}]}), "lr")
    assert rates["model.norm.weight"] == 0.0


def test_rules_move_parameters_between_the_halves():
    model = llama(tie_word_embeddings=False)
    rules = [{"pattern": "lm_head", "optimizer": "matrix"}, {"pattern": "mlp", "optimizer": "adamw"}]
    groups = groups_of(model, {"rules": rules}, halved=True)
    halves, rates = per_parameter(model, groups, "matrix"), per_parameter(model, groups, "lr")
    assert halves["lm_head.weight"]
    assert halves["model.layers.0.self_attn.q_proj.weight"]
    assert not halves["model.layers.0.mlp.up_proj.weight"]
    assert (rates["lm_head.weight"], rates["model.layers.0.mlp.up_proj.weight"]) == (1.0, 3.0)
    (head,) = [group for group in groups if group["name"] == "matrices matching lm_head"]
    assert head["layouts"] == [{"shape": [1, 32, 16], "transposed": False, "groups": 1, "parts": [32]}]


@pytest.mark.parametrize(
    ("pattern", "half", "complaint"),
    [
        (
            "input_layernorm",
            "matrix",
            r"makes a matrix of model.layers.0.input_layernorm.weight, whose shape is \[16\]",
        ),
        (
            "proj",
            "adamw",
            "muon owns 0 parameters: param_groups gives every hidden matrix to adamw \\('proj'\\)",
        ),
    ],
)
def test_a_half_that_cannot_own_what_it_is_given_is_refused(pattern, half, complaint):
    with pytest.raises(UserError, match=complaint):
        groups_of(llama(), {"rules": [{"pattern": pattern, "optimizer": half}]}, halved=True)


def test_the_group_whose_rate_is_logged_comes_first():
    model = llama(tie_word_embeddings=False)
    assert groups_of(model, halved=True, adamw_lr=1.0)[0]["name"] == "matrices"
    assert groups_of(model, {"layerwise_lr_decay": 0.5})[0]["lr"] == 1.0
    assert groups_of(model, {"layerwise_lr_decay": 0.5}, halved=True)[0]["name"] == "block 1 matrices"
