import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig

from hf_strategies.adapters.factory import create_adapter
from hf_strategies.errors import UserError
from hf_strategies.models.factory import (
    create_config,
    create_model,
    load_config,
    load_model,
    load_with_new_head,
    override_config,
)
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


def test_bert_and_t5_have_no_dropout_until_it_is_asked_for():
    bert, t5 = (config_of(name, num_attention_heads=2) for name in ("bert", "t5"))
    assert bert.hidden_dropout_prob == bert.attention_probs_dropout_prob == t5.dropout_rate == 0.0
    override_config(bert, {"hidden_dropout_prob": 0.1})
    assert bert.hidden_dropout_prob == 0.1


def test_a_fresh_t5_knows_about_as_much_as_its_vocabulary_says():
    config = config_of("t5", num_attention_heads=2)
    assert (config.is_gated_act, config.d_kv, config.num_decoder_layers, config.decoder_start_token_id) == (
        True, 16, 2, 0,
    )  # fmt: skip
    torch.manual_seed(0)
    model = create_model(config, head="seq2seq")
    ids = torch.randint(1, 64, (8, 16))
    # Logits of unit variance cost half a nat more than none: log 64 = 4.16; an unscaled head much more.
    assert model(input_ids=ids, labels=ids).loss.item() == pytest.approx(4.16 + 0.5, abs=0.5)


@pytest.mark.parametrize(("image_size", "patch_size"), [(8, 2), (28, 4), (32, 4), (224, 16)])
def test_an_image_is_cut_into_about_8_by_8_patches_of_2_to_16_pixels(image_size, patch_size):
    sizes, _ = resolve_sizes("vit", {"hidden_size": 32})
    assert create_config("vit", image_size=image_size, num_channels=3, sizes=sizes).patch_size == patch_size


def test_patches_that_do_not_fill_the_image_are_refused():
    sizes, _ = resolve_sizes("vit", {"patch_size": 5})
    with pytest.raises(UserError, match=r"image_size 32 is not divisible by patch_size 5; .*: 4 and 8"):
        create_config("vit", image_size=32, num_channels=3, sizes=sizes)


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


def test_the_folder_of_an_adapter_is_no_model_and_says_what_is(tiny_lm, tmp_path):
    tiny_lm.save_pretrained(tmp_path / "base")
    adapted = create_adapter("lora", AutoModelForCausalLM.from_pretrained(tmp_path / "base"), task_type="CAUSAL_LM")
    adapted.save_pretrained(tmp_path / "run")
    said = (
        f"model_name_or_path '{tmp_path}/run' holds an adapter on {tmp_path}/base and no model: name {tmp_path}/base"
    )
    with pytest.raises(UserError, match=f"^{said}$"):
        load_config(str(tmp_path / "run"))
    tiny_lm.save_pretrained(tmp_path / "run" / "merged")
    with pytest.raises(UserError, match=f"{said} or {tmp_path}/run/merged, where it is merged$"):
        load_config(str(tmp_path / "run"))


def test_damaged_or_missing_weights_are_refused(tiny_lm, tmp_path):
    tiny_lm.save_pretrained(tmp_path)
    with pytest.raises(UserError, match="lacks 9 weights that its config asks for"):
        load(tmp_path, num_hidden_layers=3)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(UserError, match="cannot be built"):
        load(tmp_path)


def save(folder, architecture, head):
    torch.manual_seed(0)
    model = create_model(config_of(architecture, num_attention_heads=2), head=head)
    model.save_pretrained(folder)
    return model


def test_a_body_that_gets_a_new_head_keeps_its_weights_and_names_the_new_ones(tmp_path):
    old = save(tmp_path, "bert", "masked")
    config = load_config(str(tmp_path), head="sequence-classification")
    config.num_labels = 3
    model, new = load_with_new_head(str(tmp_path), config, head="sequence-classification")
    assert new == ["bert.pooler.dense.bias", "bert.pooler.dense.weight", "classifier.bias", "classifier.weight"]
    assert model.classifier.weight.shape == (3, 32)
    body = old.bert.state_dict()
    assert all(torch.equal(body[name], model.bert.state_dict()[name]) for name in body)


def test_a_head_of_another_size_is_made_anew_where_that_is_wanted_alone(tmp_path):
    model = save(tmp_path, "bert", "sequence-classification")
    config = load_config(str(tmp_path), head="sequence-classification")
    config.num_labels = 5
    again, new = load_with_new_head(str(tmp_path), config, head="sequence-classification")
    assert new == ["classifier.bias", "classifier.weight"]
    assert torch.equal(again.bert.pooler.dense.weight, model.bert.pooler.dense.weight)
    with pytest.raises(UserError, match="cannot be built"):
        load_model(str(tmp_path), config, head="sequence-classification")
