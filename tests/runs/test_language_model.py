import copy

import pytest
from transformers import FalconConfig, FalconForCausalLM

from hf_strategies.arguments.topics import ModelArguments
from hf_strategies.errors import UserError
from hf_strategies.runs.fresh_model import unused_sizes
from hf_strategies.runs.language_model import (
    build_model,
    load_tokenizer,
    resolve_block_size,
    sketch_model,
)


@pytest.fixture
def checkpoint(tiny_lm, byte_tokenizer, tmp_path) -> str:
    """A checkpoint with 32 positions, and its tokenizer."""
    tiny_lm.save_pretrained(tmp_path)
    byte_tokenizer.save_pretrained(tmp_path)
    return str(tmp_path)


def test_a_block_is_as_long_as_asked_or_512_or_what_the_checkpoint_has_positions_for(checkpoint):
    assert resolve_block_size(ModelArguments(architecture="gpt2"), None) == 512
    assert resolve_block_size(ModelArguments(architecture="gpt2"), 2048) == 2048
    assert resolve_block_size(ModelArguments(model_name_or_path=checkpoint), None) == 32
    assert resolve_block_size(ModelArguments(model_name_or_path=checkpoint), 16) == 16
    with pytest.raises(UserError, match="max_seq_length 33 is longer than the 32 positions"):
        resolve_block_size(ModelArguments(model_name_or_path=checkpoint), 33)


def test_the_tokenizer_is_the_one_that_was_named_or_the_checkpoints_or_none(checkpoint, tmp_path):
    assert len(load_tokenizer(ModelArguments(model_name_or_path=checkpoint))) == 258
    assert len(load_tokenizer(ModelArguments(architecture="gpt2", tokenizer_name=checkpoint))) == 258
    assert load_tokenizer(ModelArguments(architecture="gpt2")) is None
    with pytest.raises(UserError, match="tokenizer_name 'nowhere' has no tokenizer that can be read"):
        load_tokenizer(ModelArguments(architecture="gpt2", tokenizer_name="nowhere"))


def test_a_tokenizer_without_padding_pads_with_its_end(byte_tokenizer, tmp_path):
    unpadded = copy.deepcopy(byte_tokenizer)
    unpadded.pad_token = None
    unpadded.save_pretrained(tmp_path)
    loaded = load_tokenizer(ModelArguments(tokenizer_name=str(tmp_path)))
    assert loaded.pad_token_id == loaded.eos_token_id == 256


def test_a_fresh_model_knows_its_tokenizers_tokens(byte_tokenizer):
    arguments = ModelArguments(architecture="transformer_pp", hidden_size=32, num_hidden_layers=1)
    model = build_model(arguments, byte_tokenizer, block_size=16, isolate_documents=True, rows=8)
    assert (model.config.eos_token_id, model.config.pad_token_id) == (256, 257)
    assert model.get_input_embeddings().weight.shape == (258, 32)


def test_documents_are_not_isolated_by_a_model_that_does_not_follow_the_positions(byte_tokenizer, tmp_path):
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    FalconForCausalLM(FalconConfig(vocab_size=258, **sizes)).save_pretrained(tmp_path)
    arguments, how = ModelArguments(model_name_or_path=str(tmp_path)), {"block_size": 16, "rows": 8}
    with pytest.raises(UserError, match="would see each other: FalconForCausalLM does not keep them apart"):
        build_model(arguments, byte_tokenizer, isolate_documents=True, **how)
    build_model(arguments, byte_tokenizer, isolate_documents=False, **how)


@pytest.mark.parametrize(
    ("architecture", "objective", "name"),
    [
        ("bert", "masked", "BertForMaskedLM"),
        ("modernbert", "masked", "ModernBertForMaskedLM"),
        ("t5", "span", "T5ForConditionalGeneration"),
    ],
)
def test_a_fresh_model_has_the_head_of_its_objective_and_is_continued_with_it(
    architecture, objective, name, byte_tokenizer, tmp_path
):
    fresh = ModelArguments(architecture=architecture, hidden_size=32, num_hidden_layers=1)
    how = {"block_size": 16, "isolate_documents": False, "rows": 8, "objective": objective}
    model = build_model(fresh, byte_tokenizer, **how)
    assert type(model).__name__ == name
    assert getattr(model.config, "decoder_start_token_id", 257) == 257  # T5 begins with its padding
    model.save_pretrained(tmp_path)
    continued = ModelArguments(model_name_or_path=str(tmp_path))
    assert type(build_model(continued, byte_tokenizer, **how)).__name__ == name
    sketch = sketch_model(continued, block_size=16, objective=objective)
    assert {key: value.shape for key, value in sketch.state_dict().items()} == {
        key: value.shape for key, value in model.state_dict().items()
    }
    longest = 512 if architecture == "t5" else 16  # relative positions have no end
    assert resolve_block_size(continued, None, objective=objective) == longest
    with pytest.raises(UserError, match=f"a causal head needs a decoder, and this is .*objective {objective} fits it"):
        resolve_block_size(continued, None)


def test_sizes_that_an_architecture_does_not_have_are_named():
    arguments = ModelArguments(architecture="gpt2", hidden_size=64, num_key_value_heads=1)
    assert unused_sizes(arguments) == ["num_key_value_heads is unused: gpt2 has no such size"]
    assert unused_sizes(ModelArguments(model_name_or_path="x")) == []


@pytest.mark.parametrize("fresh", [True, False])
def test_a_sketch_has_the_models_parameters_and_no_memory(fresh, checkpoint, byte_tokenizer):
    arguments = ModelArguments(architecture="gpt2", hidden_size=32, num_hidden_layers=2, vocab_size=258)
    if not fresh:
        arguments = ModelArguments(model_name_or_path=checkpoint)
    model = build_model(arguments, byte_tokenizer, block_size=16, isolate_documents=False, rows=8)
    sketch = dict(sketch_model(arguments, block_size=16).named_parameters())
    assert {name: param.shape for name, param in sketch.items()} == {
        name: param.shape for name, param in model.named_parameters()
    }
    assert all(param.is_meta for param in sketch.values())
