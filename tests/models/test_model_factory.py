import pytest
import torch
from transformers import BertConfig, LlamaConfig, T5Config

from hf_strategies.errors import UserError
from hf_strategies.models.factory import create_config, create_model, load_config, load_model, override_config
from hf_strategies.models.sizes import resolve_sizes

TOKENS = {"bos_token_id": None, "eos_token_id": 0, "pad_token_id": 0}


def config_of(architecture: str, **sizes):
    resolved, _ = resolve_sizes(architecture, {"hidden_size": 32, "num_hidden_layers": 2, **sizes})
    return create_config(architecture, vocab_size=64, max_seq_length=16, sizes=resolved, tokens=TOKENS)


def test_transformer_pp_is_a_decoder_without_biases_and_its_parameters_are_counted_by_hand():
    model = create_model(config_of("transformer_pp", num_attention_heads=2))
    # embedding (tied) 64 x 32; per layer 4 attention matrices 32 x 32, 3 feed-forward 32 x 96, 2 norms; a last norm
    assert model.num_parameters() == 64 * 32 + 2 * (4 * 32 * 32 + 3 * 32 * 96 + 2 * 32) + 32
    assert not [name for name, _ in model.named_parameters() if name.endswith("bias")]


def test_gpt2_has_the_sizes_that_were_asked_for_and_no_dropout():
    config = config_of("gpt2", num_attention_heads=2, intermediate_size=48)
    assert (config.n_embd, config.n_layer, config.n_head, config.n_inner, config.n_positions) == (32, 2, 2, 48, 16)
    assert config.resid_pdrop == config.embd_pdrop == config.attn_pdrop == 0.0
    assert create_model(config).num_parameters() > 0


def test_tokens_of_the_tokenizer_reach_the_config():
    config = config_of("transformer_pp", num_attention_heads=2)
    assert (config.bos_token_id, config.eos_token_id, config.pad_token_id) == (None, 0, 0)


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        ({"rope_thetta": 1e4}, "has no field 'rope_thetta'"),
        ({"rms_norm_eps": "small"}, "cannot be 'small': expected float, like 1e-06"),
        ({"num_hidden_layers": True}, "cannot be True: expected int"),
    ],
)
def test_an_override_that_does_not_fit_is_refused(overrides, complaint):
    with pytest.raises(UserError, match=complaint):
        override_config(LlamaConfig(), overrides)


def test_an_override_that_fits_is_set():
    config = LlamaConfig()
    override_config(config, {"rms_norm_eps": 1e-5, "tie_word_embeddings": True})
    assert (config.rms_norm_eps, config.tie_word_embeddings) == (1e-5, True)


def test_an_attention_that_is_not_installed_says_what_to_install():
    with pytest.raises(UserError, match=r"attn_implementation flash_attention_2: .*pip install flash-attn"):
        create_model(config_of("transformer_pp", num_attention_heads=2), attn_implementation="flash_attention_2")
    with pytest.raises(UserError, match="attn_implementation fast: "):
        create_model(config_of("transformer_pp", num_attention_heads=2), attn_implementation="fast")


def test_a_config_that_describes_no_model_is_refused():
    config = config_of("transformer_pp", num_attention_heads=2)
    config.hidden_act = "relu6x"
    with pytest.raises(UserError, match=r"the model cannot be built: .*relu6x"):
        create_model(config)


def load(folder, **overrides):
    return load_model(str(folder), load_config(str(folder), overrides=overrides))


def test_a_checkpoint_saved_in_bf16_is_continued_in_float32(tiny_lm, tmp_path):
    tiny_lm.to(torch.bfloat16).save_pretrained(tmp_path)
    assert load(tmp_path).dtype is torch.float32


def test_a_folder_without_a_checkpoint_is_refused(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        load_config(str(tmp_path))


def test_damaged_or_missing_weights_are_refused(tiny_lm, tmp_path):
    tiny_lm.save_pretrained(tmp_path)
    with pytest.raises(UserError, match="lacks 9 weights that its config asks for"):
        load(tmp_path, num_hidden_layers=3)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(UserError, match="cannot be built"):
        load(tmp_path)


@pytest.mark.parametrize("config", [BertConfig(), T5Config()], ids=["encoder", "encoder-decoder"])
def test_a_model_that_sees_the_whole_text_is_no_causal_one(config, tmp_path):
    config.save_pretrained(tmp_path)
    with pytest.raises(UserError, match="needs a decoder"):
        load_config(str(tmp_path))
