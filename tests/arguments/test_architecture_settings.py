"""Sizes by name, by a number of parameters, one by one: what goes together, and what takes whose place."""

import pytest

from hf_strategies.arguments import parse_arguments
from hf_strategies.errors import UserError


def parse(*words: str):
    return parse_arguments(list(words), description="", default_recipe="pretrain")


def test_a_published_size_takes_the_places_of_a_recipes_sizes_and_stays_below_a_flags():
    arguments = parse("--size", "125m", "--num_key_value_heads", "4")
    model = arguments.model
    assert (model.size, model.hidden_size, model.num_key_value_heads) == ("125m", None, 4)
    assert arguments.notes == [
        f"size (--size) replaces {', '.join(f'{name} ({arguments_of_recipe[name]})' for name in arguments_of_recipe)}"
        for arguments_of_recipe in [{name: item.where for name, item in recipe_sizes().items()}]
    ]


def recipe_sizes():
    sizes = ("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "intermediate_size")
    values = parse().values
    return {name: values[name] for name in sizes if name in values}


def test_a_number_of_parameters_takes_a_lower_width_away_and_goes_with_it(tmp_path):
    yaml = tmp_path / "mine.yaml"
    yaml.write_text("parameters: 30M\n")
    arguments = parse(str(yaml))
    assert (arguments.model.parameters, arguments.model.hidden_size) == ("30M", None)
    again = parse(str(yaml), "--hidden_size", "128")
    assert (again.model.parameters, again.model.hidden_size) == (None, 128)
    assert again.notes[-1] == f"hidden_size (--hidden_size) replaces parameters ({yaml}:1)"


def test_another_architecture_takes_size_parameters_and_options_with_it(tmp_path):
    yaml = tmp_path / "mine.yaml"
    yaml.write_text("architecture: bert\nobjective: masked\nsize: tiny\n")
    arguments = parse(str(yaml), "--architecture", "transformer_pp", "--objective", "causal")
    assert arguments.model.size is None
    assert f"architecture transformer_pp (--architecture) replaces size ({yaml}:3)" in arguments.notes


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--size", "125m", "--parameters", "30M"], "--size: size and parameters cannot both be given; choose one"),
        (
            ["--parameters", "30M", "--hidden_size", "64"],
            "--parameters: parameters and hidden_size cannot both be given; choose one",
        ),
        (
            ["--size", "125mm"],
            "--size: architecture 'transformer_pp' has no size '125mm', did you mean '125m'? (known: 14m, 31m, 70m, "
            "125m, 350m, 760m, 1b3, 2b7, 6b7, 13b, 7b)",
        ),
        (
            ["--size", "125m", "--num_attention_heads", "5"],
            "--num_attention_heads: hidden_size 768 is not divisible by num_attention_heads 5; nearest that divide: 4 "
            "and 6",
        ),
        (["--parameters", "many"], '--parameters: expected a number of parameters ("30M", "1.3B"), got \'many\''),
        (["--parameters", "0"], '--parameters: expected a number of parameters ("30M", "1.3B"), got \'0\''),
        (
            ["--architecture", "gpt2", "--architecture_kwargs", "rope=true"],
            "--architecture_kwargs: architecture 'gpt2' has no option 'rope'",
        ),
        (
            ["--model_name_or_path", "x", "--architecture_kwargs", "qk_norm=true"],
            "--architecture_kwargs: architecture_kwargs belongs to architecture, which this run does not set",
        ),
    ],
)
def test_what_does_not_go_together_is_one_line(words, complaint):
    with pytest.raises(UserError) as refusal:
        parse(*words)
    assert str(refusal.value).startswith(complaint)
    assert "\n" not in str(refusal.value)
