"""What can be chosen about an architecture besides its sizes, on the host's own classes."""

import pytest
import torch
from transformers import ArceeForCausalLM, LlamaForCausalLM, NanoChatForCausalLM, Qwen3ForCausalLM

from hf_strategies.errors import UserError
from hf_strategies.models import ARCHITECTURES, resolve_options, resolve_sizes
from hf_strategies.models.factory import create_config, create_model

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}


def config_of(architecture: str = "transformer_pp", **options):
    sizes, _ = resolve_sizes(architecture, SIZES, options=options)
    return create_config(architecture, vocab_size=64, max_seq_length=16, sizes=sizes, options=options)


def build(architecture: str = "transformer_pp", **options):
    torch.manual_seed(0)
    return create_model(config_of(architecture, **options)).eval()


@pytest.mark.parametrize(
    ("options", "made"),
    [
        ({}, LlamaForCausalLM),
        ({"qk_norm": True}, Qwen3ForCausalLM),
        ({"activation": "relu2"}, ArceeForCausalLM),
        ({"qk_norm": True, "activation": "relu2"}, NanoChatForCausalLM),
        ({"qk_norm": True, "activation": "relu2", "logit_softcap": 3}, NanoChatForCausalLM),
    ],
)
def test_options_choose_the_hosts_class_and_keep_the_sizes(options, made):
    model = build(**options)
    assert type(model) is made
    attention = model.model.layers[1].self_attn
    assert attention.q_proj.weight.shape == (32, 32)
    assert attention.k_proj.weight.shape == (16, 32)  # 2 heads of 8
    assert not any(name.endswith("bias") for name, _ in model.named_parameters())
    assert model.lm_head.weight is model.get_input_embeddings().weight
    # A gated layer has three matrices, 8/3 as wide as the model (85.3, in steps of 32: 96); one without has two, 4x.
    feed_forward = {
        matrix.weight.numel() for matrix in model.model.layers[0].mlp.children() if hasattr(matrix, "weight")
    }
    assert feed_forward == {32 * (128 if "activation" in options else 96)}


def test_options_that_no_class_has_together_are_refused_in_a_line_that_says_which_it_has():
    with pytest.raises(UserError) as refusal:
        resolve_options("transformer_pp", {"logit_softcap": 30})
    assert str(refusal.value) == (
        "no model class of the host has activation=silu + logit_softcap together (there are: activation=silu; "
        "qk_norm + activation=silu; activation=relu2; qk_norm + activation=relu2; "
        "qk_norm + activation=relu2 + logit_softcap)"
    )


def test_capped_logits_stay_below_the_cap_and_are_as_they_were_without_one():
    ids = torch.arange(1, 17)[None]
    capped, free = (build(qk_norm=True, activation="relu2", logit_softcap=cap) for cap in (0.5, 0.0))
    for model in (capped, free):
        torch.nn.init.normal_(model.get_input_embeddings().weight, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        shown, whole = capped(ids).logits, free(ids).logits
    assert whole.abs().max() > 5
    torch.testing.assert_close(shown, 0.5 * torch.tanh(whole / 0.5))


def test_squared_relu_is_squared():
    mlp = build(activation="relu2").model.layers[0].mlp
    x = torch.randn(3, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(mlp(x), mlp.down_proj(torch.relu(mlp.up_proj(x)) ** 2))


@pytest.mark.parametrize("architecture", ["transformer_pp", "gpt2"])
def test_embeddings_are_tied_until_somebody_unties_them(architecture):
    tied, untied = (build(architecture, **options) for options in ({}, {"tie_embeddings": False}))
    assert untied.num_parameters() - tied.num_parameters() == 64 * 32


@pytest.mark.parametrize(
    ("architecture", "names"),
    [
        ("transformer", ["dropout", "attention_dropout"]),
        ("gpt2", ["resid_pdrop", "embd_pdrop", "attn_pdrop"]),
        ("bert", ["hidden_dropout_prob", "attention_probs_dropout_prob"]),
        ("t5", ["dropout_rate"]),
    ],
)
def test_nothing_is_dropped_out_until_somebody_asks_for_it(architecture, names):
    assert {getattr(config_of(architecture), name) for name in names} == {0.0}
    assert {getattr(config_of(architecture, dropout=0.1), name) for name in names} == {0.1}


def test_the_first_t5s_layers_have_no_gate_and_are_wider():
    assert (config_of("t5").is_gated_act, config_of("t5").d_ff) == (True, 96)
    first = config_of("t5", activation="relu")
    assert (first.is_gated_act, first.dense_act_fn, first.d_ff) == (False, "relu", 128)


@pytest.mark.parametrize(
    ("architecture", "options", "complaint"),
    [
        ("transformer_pp", {"qk_nrm": True}, "has no option 'qk_nrm', did you mean 'qk_norm'"),
        ("transformer_pp", {"qk_norm": 1}, "qk_norm of architecture 'transformer_pp' must be true or false, got 1"),
        ("gpt2", {"activation": "swish"}, "must be one of gelu_new, gelu, relu, relu2, got 'swish'"),
        ("bert", {"dropout": 1}, r"dropout of architecture 'bert' must be a number in \[0, 1\), got 1"),
    ],
)
def test_what_is_no_option_is_refused(architecture, options, complaint):
    with pytest.raises(UserError, match=complaint):
        resolve_options(architecture, options)


def test_every_default_is_something_that_its_option_may_be():
    options = {
        (entry.name, name): option
        for entry in ARCHITECTURES
        for name, option in entry.facts.get("options", {}).items()
    }
    assert options
    assert not [key for key, option in options.items() if not option.rule[0](option.default)]


def test_every_published_size_is_a_model_of_its_architecture():
    for entry in ARCHITECTURES:
        for size, sizes in entry.facts.get("published", {}).items():
            resolved, unused = resolve_sizes(entry.name, {}, size=size)
            assert unused == []
            assert {name: resolved[name] for name in sizes} == dict(sizes)
