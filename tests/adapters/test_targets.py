import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM, GPTNeoXConfig, JambaConfig, MambaConfig, XLMConfig, XLMWithLMHeadModel

from hf_strategies.adapters.linear_layers import layers_outside_blocks, linear_layers
from hf_strategies.adapters.targets import find_targets, match_ends, shortest_ends
from hf_strategies.errors import UserError

# What the figures of the papers show in a block: attention, then what follows it.
KINDS = {
    "llama": (
        ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"],
        ["mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"],
    ),
    "gpt2": (["attn.c_attn", "attn.c_proj"], ["mlp.c_fc", "mlp.c_proj"]),
    "bert": (
        ["attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"],
        ["intermediate.dense", "output.dense"],
    ),
    "distilbert": (
        ["attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin"],
        ["ffn.lin1", "ffn.lin2"],
    ),
    "vit": (
        ["attention.q_proj", "attention.k_proj", "attention.v_proj", "attention.o_proj"],
        ["mlp.fc1", "mlp.fc2"],
    ),
}
BLOCKS = {
    "llama": "model.layers",
    "gpt2": "transformer.h",
    "bert": "bert.encoder.layer",
    "distilbert": "distilbert.transformer.layer",
    "vit": "vit.layers",
}


@pytest.mark.parametrize("architecture", KINDS)
def test_layers_are_found_and_told_apart_by_architecture(architecture, tiny_model):
    attention, feed_forward = KINDS[architecture]
    blocks = [f"{BLOCKS[architecture]}.{number}" for number in range(2)]
    found = linear_layers(tiny_model(architecture))
    assert sorted(found.all) == sorted(f"{block}.{name}" for block in blocks for name in attention + feed_forward)
    assert found.attention == [f"{block}.{name}" for block in blocks for name in attention]
    assert found.into_attention == [f"{block}.{name}" for block in blocks for name in attention[:-1]]
    assert found.feed_forward_end == [f"{block}.{feed_forward[-1]}" for block in blocks]


def test_a_decoder_has_two_attentions_in_a_block(tiny_model):
    found = linear_layers(tiny_model("t5"))
    assert len(found.attention) == 2 * 4 + 2 * 8
    assert [name for name in found.attention if name not in found.into_attention] == [
        *(f"encoder.block.{number}.layer.0.SelfAttention.o" for number in range(2)),
        "decoder.block.0.layer.0.SelfAttention.o",
        "decoder.block.0.layer.1.EncDecAttention.o",
        "decoder.block.1.layer.0.SelfAttention.o",
        "decoder.block.1.layer.1.EncDecAttention.o",
    ]
    assert all(name.endswith("DenseReluDense.wo") for name in found.feed_forward_end)


def test_of_a_state_space_mixer_only_its_entrance_is_found():
    """Fused kernels read the other weights past their modules: an adapter there would train nothing on a GPU."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(MambaConfig(vocab_size=64, hidden_size=16, num_hidden_layers=2))
    found = linear_layers(model)
    assert found.all == [f"backbone.layers.{number}.mixer.in_proj" for number in range(2)]
    assert found.attention == []


def test_a_block_that_is_called_after_its_attention_is_more_than_that():
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2, "num_key_value_heads": 2}
    config = JambaConfig(**sizes, vocab_size=64, num_hidden_layers=2, attn_layer_period=2, attn_layer_offset=1,
                         expert_layer_period=4, expert_layer_offset=3)  # fmt: skip
    with torch.device("meta"):
        found = linear_layers(AutoModelForCausalLM.from_config(config))
    assert {name.split(".")[-1] for name in found.attention} == {"q_proj", "k_proj", "v_proj", "o_proj"}
    assert all(name.endswith("down_proj") for name in found.feed_forward_end)


def test_blocks_that_are_spread_over_lists_are_put_together():
    with torch.device("meta"):
        model = XLMWithLMHeadModel(XLMConfig(vocab_size=32, emb_dim=8, n_layers=2, n_heads=2))
    found = linear_layers(model)
    assert found.attention[:4] == [
        f"transformer.attentions.0.{name}" for name in ("q_lin", "k_lin", "v_lin", "out_lin")
    ]
    assert found.feed_forward_end == ["transformer.ffns.0.lin2", "transformer.ffns.1.lin2"]


def test_fused_attention_counts_as_what_leads_into_it():
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2, "num_hidden_layers": 1}
    with torch.device("meta"):
        found = linear_layers(AutoModelForCausalLM.from_config(GPTNeoXConfig(**sizes, vocab_size=64)))
    assert found.into_attention == ["gpt_neox.layers.0.attention.query_key_value"]


@pytest.mark.parametrize(
    ("architecture", "outside"),
    [
        ("llama", ["lm_head"]),
        ("bert", ["bert.pooler.dense", "classifier"]),
        ("roberta", ["classifier.dense", "classifier.out_proj"]),
        ("vit", ["classifier"]),
    ],
)
def test_poolers_and_heads_stand_outside_of_the_blocks(architecture, outside, tiny_model):
    assert layers_outside_blocks(tiny_model(architecture)) == outside


def test_everything_linear_is_the_default_and_attention_an_option(tiny_model):
    model = tiny_model("llama")
    assert find_targets(model, None, excluded=[]) == linear_layers(model).all
    assert find_targets(model, "all-linear", excluded=[]) == linear_layers(model).all
    assert find_targets(model, "attention", excluded=[]) == linear_layers(model).attention


def test_expressions_match_the_ends_of_names(tiny_model):
    model = tiny_model("t5")
    found = find_targets(model, ["q", "v"], excluded=[])
    assert len(found) == 2 * 6  # of two encoder blocks, and of two decoder blocks with two attentions each
    assert all(name.endswith((".q", ".v")) for name in found)
    assert find_targets(model, r"encoder\.block\.1\..*\.(k|o)", excluded=[]) == [
        "encoder.block.1.layer.0.SelfAttention.k",
        "encoder.block.1.layer.0.SelfAttention.o",
    ]


@pytest.mark.parametrize(
    ("wanted", "complaint"),
    [
        ("q_prj", r"'q_prj' matches no linear layer; the nearest are model\.layers\.0\.self_attn\.q_proj"),
        (["q_proj", "self_attn"], "'self_attn' matches no linear layer"),
        ("q_proj(", "is no regular expression"),
        ("embed_tokens", "matches no linear layer"),
    ],
)
def test_what_matches_nothing_is_refused_with_what_is_near(wanted, complaint, tiny_model):
    with pytest.raises(UserError, match=complaint):
        find_targets(tiny_model("llama"), wanted, excluded=[])


def test_what_is_trained_whole_is_not_adapted(tiny_model):
    with pytest.raises(UserError, match="'classifier' matches no linear layer"):
        find_targets(tiny_model("bert"), "classifier", excluded=["classifier"])
    layer = "bert.encoder.layer.1.output"
    found = find_targets(tiny_model("bert"), None, excluded=[layer])
    assert len(found) == 11
    assert f"{layer}.dense" not in found


def test_a_model_without_attention_is_refused_by_name(tiny_model):
    with pytest.raises(UserError, match=r"'attention' finds no such layer in MambaForCausalLM: name some, .*in_proj"):
        find_targets(tiny_model("mamba"), "attention", excluded=[])


def test_a_model_without_blocks_is_refused():
    with pytest.raises(UserError, match=r"an adapter finds no layers in Sequential: .* name target_modules"):
        linear_layers(nn.Sequential(nn.Linear(2, 2)))


def test_ends_are_as_short_as_they_can_be_and_match_nothing_else(tiny_model):
    names = ["a.0.attention.output.dense", "a.0.output.dense", "a.0.up", "pooler.dense", "up_norm"]
    ends = shortest_ends(names[:3], names[3:])
    assert ends == ["output.dense", "up"]
    assert shortest_ends(["a.0.output.dense"], ["a.0.attention.output.dense"]) == ["0.output.dense"]
    model = tiny_model("bert")
    wanted, every = linear_layers(model).all, [name for name, _ in model.named_modules()]
    ends = shortest_ends(wanted, set(every) - set(wanted))
    assert {name for name in every if any(f".{name}".endswith(f".{end}") for end in ends)} == set(wanted)


def test_an_expression_may_match_a_whole_name():
    assert match_ends("lm_head", ["lm_head", "model.lm_head_norm"]) == ["lm_head"]
