import io

import pytest
import torch
import transformers as hf
from peft import LoraConfig, get_peft_model
from torch import nn

from hf_strategies.optimizers.matrices import join, matrix_layouts, split, whole_matrix

SIZES = {
    "vocab_size": 64,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
}
GROUPED = {**SIZES, "num_key_value_heads": 2}


def layouts_of(model: nn.Module) -> dict[str, dict]:
    layouts = matrix_layouts(model)
    return {name: layouts[param] for name, param in model.named_parameters() if param in layouts}


def layout_of(model: nn.Module, ending: str) -> dict:
    ((_, layout),) = [(name, layout) for name, layout in layouts_of(model).items() if name.endswith(ending)]
    return layout


def spared(model: nn.Module) -> set[str]:
    """Return the names of what has two dimensions or more and is none of the matrices."""
    layouts = matrix_layouts(model)
    return {name for name, param in model.named_parameters() if param.ndim > 1 and param not in layouts}


def test_attention_of_gpt2_is_three_projections_stored_by_input():
    sizes = {"vocab_size": 64, "n_embd": 16, "n_layer": 1, "n_head": 4}
    model = hf.GPT2LMHeadModel(hf.GPT2Config(**sizes, add_cross_attention=True))
    assert layout_of(model, ".attn.c_attn.weight") == {
        "shape": [1, 16, 48],
        "transposed": True,
        "groups": 1,
        "parts": [16, 16, 16],
    }
    assert layout_of(model, "crossattention.c_attn.weight")["parts"] == [16, 16]  # its query has a weight of its own
    assert layout_of(model, "mlp.c_fc.weight") == whole_matrix([16, 64], transposed=True)
    assert spared(model) == {"transformer.wte.weight", "transformer.wpe.weight"}


def falcon(**heads) -> nn.Module:
    sizes = {"vocab_size": 64, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 4}
    return hf.FalconForCausalLM(hf.FalconConfig(**sizes, **heads))


@pytest.mark.parametrize(
    ("build", "groups", "parts"),
    [
        (lambda: hf.GPTNeoXForCausalLM(hf.GPTNeoXConfig(**SIZES)), 4, [4, 4, 4]),
        (
            lambda: hf.BloomForCausalLM(hf.BloomConfig(vocab_size=64, hidden_size=16, n_layer=1, n_head=4)),
            4,
            [4, 4, 4],
        ),
        (lambda: falcon(new_decoder_architecture=True, num_kv_heads=2), 2, [8, 4, 4]),
        (lambda: falcon(multi_query=True), 1, [16, 4, 4]),
        (lambda: falcon(multi_query=False), 4, [4, 4, 4]),
    ],
    ids=["gpt_neox", "bloom", "falcon 40b", "falcon 7b", "falcon rw"],
)
def test_interleaved_attention_is_cut_by_head(build, groups, parts):
    layout = layout_of(build(), "query_key_value.weight")
    assert (layout["groups"], layout["parts"]) == (groups, parts)


def test_a_cut_query_is_what_gpt_neox_computes():
    model = hf.GPTNeoXForCausalLM(hf.GPTNeoXConfig(**SIZES))
    attention = model.gpt_neox.layers[0].attention
    query, _, value = split(attention.query_key_value.weight, layout_of(model, "query_key_value.weight"))
    hidden = torch.randn(1, 3, 16)
    heads = attention.query_key_value(hidden).view(1, 3, 4, 12)  # as its forward pass cuts: heads, then q, k, v
    for cut, start in ((query, 0), (value, 8)):
        expected = heads[..., start : start + 4] - attention.query_key_value.bias.view(4, 12)[:, start : start + 4]
        torch.testing.assert_close(hidden @ cut[0].T, expected.flatten(2), atol=1e-6, rtol=1e-5)


def test_codegen_stores_query_value_and_key_four_times():
    sizes = {"vocab_size": 64, "n_embd": 32, "n_layer": 1, "n_head": 8, "rotary_dim": 4, "n_positions": 8}
    model = hf.CodeGenForCausalLM(hf.CodeGenConfig(**sizes))
    attention = model.transformer.h[0].attn
    layout = layout_of(model, "qkv_proj.weight")
    assert (layout["groups"], layout["parts"]) == (4, [8, 8, 8])
    cuts = split(attention.qkv_proj.weight, layout)
    hidden = torch.randn(1, 3, 32)
    blocks = attention.qkv_proj(hidden).reshape(1, 3, 4, 24)  # as its forward pass cuts
    for cut, expected in zip(cuts, torch.split(blocks, 8, dim=-1)):
        torch.testing.assert_close(hidden @ cut[0].T, expected.flatten(2), atol=1e-6, rtol=1e-5)


def test_a_router_is_a_matrix_like_those_beside_it():
    model = hf.MixtralForCausalLM(hf.MixtralConfig(**GROUPED, num_local_experts=3))
    assert layout_of(model, "mlp.gate.weight") == whole_matrix([3, 16])


def test_keys_and_values_have_fewer_rows_with_fewer_heads():
    config = hf.Phi3Config(**GROUPED, pad_token_id=0, bos_token_id=1, eos_token_id=2)
    model = hf.Phi3ForCausalLM(config)
    assert layout_of(model, "qkv_proj.weight")["parts"] == [16, 8, 8]
    assert layout_of(model, "gate_up_proj.weight")["parts"] == [24, 24]
    assert layout_of(model, "o_proj.weight") == whole_matrix([16, 16])


def test_torchs_own_attention_is_three_projections():
    model = nn.TransformerEncoderLayer(16, 4, 24)
    assert layout_of(model, "in_proj_weight")["parts"] == [16, 16, 16]
    assert set(layouts_of(model)) == {
        "self_attn.in_proj_weight",
        "self_attn.out_proj.weight",
        "linear1.weight",
        "linear2.weight",
    }


@pytest.mark.parametrize(
    ("build", "gates", "down"),
    [
        (
            lambda: hf.MixtralForCausalLM(hf.MixtralConfig(**GROUPED, num_local_experts=3)),
            {"shape": [3, 48, 16], "transposed": False, "groups": 1, "parts": [24, 24]},
            whole_matrix([3, 16, 24]),
        ),
        (
            lambda: hf.Llama4ForCausalLM(
                hf.Llama4TextConfig(
                    **GROUPED, num_local_experts=3, head_dim=4, intermediate_size_mlp=24, pad_token_id=0
                )
            ),
            {"shape": [3, 16, 48], "transposed": True, "groups": 1, "parts": [24, 24]},
            whole_matrix([3, 24, 16], transposed=True),
        ),
        (
            lambda: hf.GptOssForCausalLM(hf.GptOssConfig(**GROUPED, num_local_experts=3, head_dim=4)),
            {"shape": [3, 16, 48], "transposed": True, "groups": 24, "parts": [1, 1]},
            whole_matrix([3, 24, 16], transposed=True),
        ),
    ],
    ids=["mixtral", "llama4", "gpt_oss"],
)
def test_every_expert_is_a_matrix_of_its_own(build, gates, down):
    model = build()
    assert layout_of(model, "experts.gate_up_proj") == gates
    assert layout_of(model, "experts.down_proj") == down
    assert not any("bias" in name for name in layouts_of(model))  # GPT-OSS's are [experts, outputs]


VIT = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 4}


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (
            lambda: hf.RobertaForSequenceClassification(hf.RobertaConfig(**SIZES, num_labels=3)),
            {"classifier.out_proj.weight"}
            | {f"roberta.embeddings.{kind}_embeddings.weight" for kind in ("word", "position", "token_type")},
        ),
        (
            lambda: hf.LlamaForSequenceClassification(hf.LlamaConfig(**GROUPED, num_labels=3)),
            {"model.embed_tokens.weight", "score.weight"},
        ),
        (
            lambda: hf.ViTForImageClassification(hf.ViTConfig(**VIT, image_size=8, patch_size=4, num_labels=10)),
            {
                "vit.embeddings.cls_token",
                "vit.embeddings.position_embeddings",
                "vit.embeddings.patch_embeddings.projection.weight",
                "classifier.weight",
            },
        ),
        (
            lambda: hf.MambaForCausalLM(
                hf.MambaConfig(vocab_size=64, hidden_size=32, num_hidden_layers=1, state_size=4)
            ),
            {"backbone.embeddings.weight", "backbone.layers.0.mixer.A_log", "backbone.layers.0.mixer.conv1d.weight"},
        ),
        (
            lambda: hf.ConvNextForImageClassification(
                hf.ConvNextConfig(hidden_sizes=[8, 16], depths=[1, 1], num_stages=2, num_labels=5)
            ),
            {
                "convnext.embeddings.patch_embeddings.weight",
                "convnext.encoder.stages.0.layers.0.dwconv.weight",
                "convnext.encoder.stages.1.layers.0.dwconv.weight",
                "classifier.weight",
            },
        ),
    ],
    ids=["roberta", "llama", "vit", "mamba", "convnext"],
)
def test_what_maps_no_activations_to_activations_is_spared(build, expected):
    assert spared(build()) == expected


def test_a_linear_map_within_the_blocks_is_no_head_whatever_its_size():
    config = hf.LlamaConfig(**GROUPED, num_labels=24)  # as many as the feed-forward has units
    assert "model.layers.0.mlp.up_proj.weight" in layouts_of(hf.LlamaForSequenceClassification(config))


def test_a_convolution_is_one_matrix_from_patches_to_channels():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 6, 3), nn.Conv1d(6, 6, 3, groups=6))
    assert layouts_of(model) == {"1.weight": whole_matrix([6, 72])}


def test_both_factors_of_lora_are_matrices_and_frozen_weights_are_not():
    model = get_peft_model(hf.LlamaForCausalLM(hf.LlamaConfig(**GROUPED)), LoraConfig(r=4, target_modules=["q_proj"]))
    shapes = {name.split(".")[-3]: layout["shape"] for name, layout in layouts_of(model).items()}
    assert shapes == {"lora_A": [1, 4, 16], "lora_B": [1, 16, 4]}


def test_tied_weights_count_once_and_sizes_are_those_of_the_whole_under_zero3():
    model = nn.Sequential(nn.Linear(4, 3, bias=False))
    model[0].weight.ds_shape = model[0].weight.shape
    model[0].weight.data = torch.empty(0)  # what DeepSpeed leaves behind
    assert list(layouts_of(model).values()) == [whole_matrix([3, 4])]


@pytest.mark.parametrize(
    "layout",
    [
        whole_matrix([12, 5]),
        whole_matrix([5, 12], transposed=True) | {"parts": [6, 4, 2]},
        whole_matrix([12, 5]) | {"groups": 3, "parts": [2, 1, 1]},
        whole_matrix([2, 5, 8], transposed=True) | {"groups": 4, "parts": [1, 1]},
    ],
    ids=str,
)
def test_joining_undoes_splitting(layout):
    whole = torch.randn(layout["shape"])
    stacks = split(whole, layout)
    assert [stack.shape[1] for stack in stacks] == [layout["groups"] * part for part in layout["parts"]]
    assert torch.equal(join(stacks, layout, whole.shape), whole)


def test_layouts_come_back_from_a_file_that_may_hold_no_code():
    file, layouts = io.BytesIO(), list(layouts_of(falcon(multi_query=True)).values())
    torch.save(layouts, file)
    file.seek(0)
    assert torch.load(file, weights_only=True) == layouts
