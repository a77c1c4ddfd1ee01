import pytest
import torch
from transformers import GPT2Config, LlamaConfig, MambaConfig, ResNetConfig, RwkvConfig, T5Config

from hf_strategies.errors import UserError
from hf_strategies.models.factory import create_config, create_model, load_config, load_model
from hf_strategies.models.hyena import HyenaConfig
from hf_strategies.models.mixing import attends, describe_mixing
from hf_strategies.models.sizes import resolve_sizes


def fresh(name, *, options=None, **sizes):
    resolved, unused = resolve_sizes(name, {"hidden_size": 32, "num_hidden_layers": 2, **sizes})
    torch.manual_seed(0)
    config = create_config(name, vocab_size=64, max_seq_length=16, sizes=resolved, options=options)
    return create_model(config), unused


def test_what_mixes_tokens_is_said_with_the_code_that_does():
    assert describe_mixing(LlamaConfig(attn_implementation="eager")) == "eager attention"
    assert describe_mixing(HyenaConfig()) == "convolutions by FFT"
    assert describe_mixing(ResNetConfig()) == ""
    if not torch.cuda.is_available():
        assert describe_mixing(MambaConfig()) == "scan in plain torch: its kernels need a GPU"
        assert describe_mixing(RwkvConfig()) == "recurrence in plain torch: its kernels need a GPU"


def test_kernels_that_are_not_installed_are_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr("importlib.util.find_spec", lambda module: None if module == "mamba_ssm" else module)
    assert describe_mixing(MambaConfig()) == "scan in plain torch; pip install mamba-ssm for kernels"
    assert describe_mixing(RwkvConfig()) == "recurrence by the kernels of kernels and ninja"


def test_an_attention_for_a_model_without_any_is_refused(tmp_path):
    assert all(map(attends, (LlamaConfig(), GPT2Config(), T5Config())))
    model, _ = fresh("mamba")
    with pytest.raises(UserError, match=r"^attn_implementation sdpa: a mamba has no attention$"):
        create_model(model.config, attn_implementation="sdpa")
    model.save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"^attn_implementation eager: a mamba has no attention$"):
        load_model(str(tmp_path), load_config(str(tmp_path)), attn_implementation="eager")


def test_a_kernel_of_the_hub_that_is_not_to_be_had_says_what_to_install():
    resolved, _ = resolve_sizes("transformer_pp", {"hidden_size": 32, "num_hidden_layers": 1})
    config = create_config("transformer_pp", vocab_size=64, max_seq_length=16, sizes=resolved)
    name = "kernels-community/flash-attn"
    with pytest.raises(UserError, match=rf"attn_implementation {name}: .*; pip install 'hf_strategies\[kernels\]'"):
        create_model(config, attn_implementation=name)


def test_a_state_space_has_no_width_inside_but_its_own():
    model, unused = fresh("mamba", intermediate_size=48)
    assert unused == ["intermediate_size"]
    assert (model.config.intermediate_size, model.backbone.layers[0].mixer.in_proj.out_features) == (64, 128)
    wide, _ = fresh("mamba", options={"expand": 3, "state_size": 4})
    assert (wide.config.intermediate_size, wide.backbone.layers[0].mixer.A_log.shape) == (96, (96, 4))


def test_heads_of_mamba2_divide_its_width():
    assert [(fresh("mamba2", hidden_size=width)[0].config.head_dim) for width in (32, 48, 50)] == [64, 48, 50]
    config = fresh("mamba2", options={"head_dim": 16})[0].config
    assert (config.head_dim, config.num_heads, config.chunk_size) == (16, 4, 16)
    with pytest.raises(UserError, match=r"head_dim 24 does not divide expand x hidden_size = 64; .*: 16 and 32$"):
        fresh("mamba2", options={"head_dim": 24})


@pytest.mark.parametrize("name", ["mamba", "mamba2"])
def test_what_ends_a_block_of_a_state_space_is_smaller_the_more_blocks_there_are(name):
    """Uniform up to 1 / sqrt(64 inputs), over the root of 4 blocks; other maps have the authors' 0.02."""
    mixer = fresh(name, num_hidden_layers=4)[0].backbone.layers[-1].mixer
    assert mixer.out_proj.weight.abs().max().item() == pytest.approx(1 / 8 / 2, rel=0.02)
    assert mixer.in_proj.weight.std().item() == pytest.approx(0.02, rel=0.05)


def test_a_fresh_rwkv_begins_as_the_identity_and_with_its_own_bonuses():
    model, _ = fresh("rwkv")
    block = model.rwkv.blocks[1]
    for zeroed in (block.attention.output, block.attention.key, block.feed_forward.value):
        assert not zeroed.weight.any()
    assert block.attention.value.weight.any()
    # log 0.3 and half a step below, at, and above it in turn: (i + 1) mod 3 - 1 begins with 0, 1, -1
    expected = torch.tensor([-1.20397, -0.70397, -1.70397, -1.20397])
    torch.testing.assert_close(block.attention.time_first[:4].detach(), expected, rtol=0, atol=1e-4)
    with pytest.raises(UserError, match="rwkv needs num_hidden_layers of at least 2, got 1"):
        fresh("rwkv", num_hidden_layers=1)


def test_an_rwkv_that_has_evaluated_is_the_same_when_it_is_saved(tmp_path):
    model, _ = fresh("rwkv", num_hidden_layers=8)
    with torch.no_grad():
        for param in model.parameters():
            param.add_(0.1 * torch.randn_like(param))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    ids = torch.randint(1, 64, (2, 8))
    with torch.no_grad():
        seen = model.eval()(ids).logits
    model.save_pretrained(tmp_path)
    loaded = load_model(str(tmp_path), load_config(str(tmp_path))).eval()
    assert all(torch.equal(value, before[name]) for name, value in loaded.state_dict().items())
    assert torch.equal(loaded(ids).logits, seen)


def test_an_rwkv_completes_several_rows_as_it_predicts_them():
    model, _ = fresh("rwkv")
    with torch.no_grad():
        for param in model.parameters():
            param.add_(0.3 * torch.randn_like(param))
    ids = expected = torch.randint(1, 64, (2, 8), generator=torch.Generator().manual_seed(1))
    for _ in range(8):
        expected = torch.cat([expected, model.eval()(expected).logits[:, -1:].argmax(-1)], dim=1)
    assert torch.equal(model.generate(ids, max_new_tokens=8, do_sample=False, eos_token_id=None), expected)
