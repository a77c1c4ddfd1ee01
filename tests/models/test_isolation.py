import pytest
import torch
from transformers import AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from hf_strategies.models.isolation import why_texts_meet

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
MODELS = {
    "llama": {"intermediate_size": 48},
    "mistral": {"intermediate_size": 48, "num_key_value_heads": 1, "sliding_window": 8},
    "gpt_neox": {"intermediate_size": 48},
    "gpt2": {"n_positions": 8},
    "opt": {"ffn_dim": 48, "word_embed_proj_dim": 32},
    "falcon": {},
    "xglm": {"ffn_dim": 48},
    "bloom": {},
    "mamba": {"state_size": 4},
}
APART = {"llama", "mistral", "gpt_neox", "gpt2"}


def build(name, **config):
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(
        CONFIG_MAPPING[name](vocab_size=64, pad_token_id=0, **{**SIZES, **MODELS[name], **config})
    )


@pytest.mark.parametrize("name", MODELS)
def test_a_model_keeps_texts_apart_if_the_second_is_predicted_as_it_is_alone(name):
    """By the gradients of both: all of a row's labels are in its second text."""
    model = build(name).eval()
    ids, draws = torch.randint(1, 64, (1, 12), generator=torch.Generator().manual_seed(1)), {}
    positions = {"position_ids": torch.tensor([[*range(5), *range(7)]])} if name not in ("bloom", "mamba") else {}
    for what, (tokens, more) in {"alone": (ids[:, 5:], {}), "packed": (ids, positions)}.items():
        model.zero_grad()
        logits = model(input_ids=tokens, use_cache=False, **more).logits[0, -7:-1]
        torch.nn.functional.cross_entropy(logits, ids[0, 6:]).backward()
        draws[what] = torch.cat([param.grad.flatten() for param in model.parameters() if param.grad is not None])
    difference = (draws["packed"] - draws["alone"]).norm() / draws["alone"].norm()
    assert (difference < 1e-5) == (name in APART)
    assert (difference < 1e-5) == (why_texts_meet(model, rows=8) == "")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rounding_is_no_leak(dtype):
    assert why_texts_meet(build("llama").to(dtype), rows=8) == ""
    assert why_texts_meet(build("falcon").to(dtype), rows=8) == "FalconForCausalLM does not keep them apart"


def test_the_model_stays_as_it_was():
    model = build("gpt2").train()
    before = torch.get_rng_state()
    why_texts_meet(model, rows=8)
    assert model.training
    assert torch.equal(before, torch.get_rng_state())


def test_flash_attention_finds_borders_in_single_rows_alone():
    model = build("llama")
    model.config._attn_implementation = "flash_attention_2"
    assert "flash_attention_2 looks for borders in batches of one row alone, got 8" in why_texts_meet(model, rows=8)
    assert why_texts_meet(model, rows=1) == ""
