import pytest

from hf_strategies.adapters import ADAPTERS
from hf_strategies.arguments import parse_arguments
from hf_strategies.arguments.tuning_topics import FINETUNE
from hf_strategies.errors import UserError
from hf_strategies.runs.adapter_settings import settle_adapter


def settled(*words: str):
    argv = [*words, "--task", "text-classification"]
    return settle_adapter(parse_arguments(argv, description="", default_recipe="finetune", job=FINETUNE))


def rate(*words: str) -> float:
    return settled(*words).training["learning_rate"]


def test_an_adapter_takes_its_own_rate_from_that_of_the_recipe_and_says_so():
    arguments = settled("small_data", "--adapter", "lora")
    assert arguments.training["learning_rate"] == pytest.approx(5e-4)  # ten times 5e-5
    assert arguments.values["learning_rate"].where == "adapter lora"
    (said,) = [note for note in arguments.notes if note.startswith("learning_rate: ")]
    assert "lora trains at 10x the rate of full fine-tuning, 0.0005" in said


def test_some_adapters_have_a_rate_of_their_own_whatever_the_recipe():
    assert rate("small_data", "--adapter", "ia3") == rate("full", "--adapter", "ia3") == ADAPTERS["ia3"].facts["lr"]


def test_a_rate_that_the_user_gives_stays():
    assert rate("small_data", "--adapter", "lora", "--learning_rate", "7e-5") == 7e-5
    assert rate("small_data") == 5e-5


def test_a_recipe_that_chooses_the_adapter_knows_its_rate():
    assert rate("lora") == 3e-4
    assert settled("lora").values["learning_rate"].where.startswith("recipe lora:")
    assert rate("qlora") == 2e-4
    assert rate("lora", "--adapter", "lora") == pytest.approx(3e-4)


def test_the_rate_of_another_adapters_recipe_is_first_brought_back_to_a_full_one():
    assert rate("lora", "--adapter", "pissa") == pytest.approx(3e-5)  # pissa trains at the full rate
    assert rate("qlora", "--adapter", "pissa", "--quantization", "null") == pytest.approx(2e-5)
    assert rate("lora", "--adapter", "ia3") == ADAPTERS["ia3"].facts["lr"]


def test_the_rate_of_a_head_alone_is_no_rate_of_full_fine_tuning():
    assert rate("linear_probe", "--no_linear_probe", "--adapter", "lora") == 1e-3


def test_lora_plus_brings_its_ratio_of_rates_unless_the_user_has_one():
    assert settled("full", "--adapter", "loraplus").strategy.param_groups == {"lora_plus_ratio": 16.0}
    own = settled("full", "--adapter", "loraplus", "--param_groups", '{"lora_plus_ratio": 4.0}')
    assert own.strategy.param_groups == {"lora_plus_ratio": 4.0}
    with pytest.raises(UserError, match="take a registered --optimizer"):
        settled("full", "--adapter", "loraplus", "--optim", "adamw_torch")
