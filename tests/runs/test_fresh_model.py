import pytest
from transformers import Qwen3Config

from hf_strategies.arguments import parse_arguments
from hf_strategies.arguments.topics import ModelArguments
from hf_strategies.errors import UserError
from hf_strategies.models.factory import count_parameters, create_model
from hf_strategies.runs.fresh_model import fresh_config
from hf_strategies.runs.startup import describe_model

TEXT = {"vocab_size": 512, "max_seq_length": 64}


def config_of(**asked):
    return fresh_config(ModelArguments(**{"architecture": "transformer_pp", **asked}), head="causal", **TEXT)


@pytest.mark.parametrize("architecture", ["transformer_pp", "gpt2", "transformer", "gru", "hyena", "mamba"])
def test_a_number_of_parameters_counts_the_embeddings_of_the_tokenizer_at_hand(architecture):
    config = config_of(architecture=architecture, parameters="2M")
    assert count_parameters(config, "causal") == pytest.approx(2_000_000, rel=0.35)
    assert config.vocab_size == 512


def test_a_published_size_gives_way_to_sizes_that_stand_beside_it():
    config = config_of(size="14m", num_hidden_layers=3, num_key_value_heads=2)
    shape = (config.hidden_size, config.num_hidden_layers, config.num_attention_heads, config.num_key_value_heads)
    assert shape == (128, 3, 4, 2)


def test_options_reach_the_config_and_their_widths_follow():
    assert isinstance(config_of(architecture_kwargs={"qk_norm": True}), Qwen3Config)
    plain, gated = (config_of(hidden_size=96, architecture_kwargs={"activation": name}) for name in ("relu2", "silu"))
    assert (plain.intermediate_size, gated.intermediate_size) == (384, 256)


def test_a_vocabulary_that_leaves_no_room_is_said():
    with pytest.raises(UserError, match=r"parameters 10,000: the nearest transformer_pp has .*smaller vocabulary"):
        config_of(parameters="10k")


def test_the_start_says_what_was_chosen_and_for_what():
    for flags, said in ((["--parameters", "2M"], "1,869,504 parameters"), (["--size", "14m"], "transformer_pp 14m, ")):
        arguments = parse_arguments(flags, description="", default_recipe="pretrain")
        model = create_model(fresh_config(arguments.model, head="causal", **TEXT))
        shown = describe_model(arguments, model)
        assert said in shown
        assert (", the nearest to 2M (hidden " in shown) == ("--parameters" in flags)
