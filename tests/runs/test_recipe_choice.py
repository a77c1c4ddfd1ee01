import pytest

from hf_strategies.arguments.layers import recipe_names
from hf_strategies.arguments.tuning_topics import FINETUNE
from hf_strategies.runs.recipe_choice import FEW, LARGE, JobFacts, choose_recipe, too_little_data


def facts(**changes) -> JobFacts:
    settings = {"task": "text-classification", "num_examples": 10_000, "num_classes": 2, "num_parameters": 110_000_000}
    return JobFacts(**{**settings, **changes})


@pytest.mark.parametrize(
    ("changes", "recipe"),
    [
        ({}, "full"),
        ({"num_examples": FEW - 1}, "small_data"),
        ({"num_examples": FEW}, "full"),
        ({"num_examples": 100, "linear_probe": True}, "linear_probe"),
        ({"num_parameters": LARGE}, "lora"),
        ({"num_parameters": LARGE, "num_examples": 100}, "lora"),
        ({"task": "causal-lm"}, "instruct"),
        ({"task": "causal-lm", "num_parameters": LARGE}, "lora"),
        ({"task": "image-classification"}, "vit_finetune"),
        ({"task": "image-classification", "num_parameters": 0}, "from_scratch"),
        ({"task": "clip-classification", "num_parameters": 0}, "clips_from_scratch"),
        ({"num_parameters": 0}, "text_from_scratch"),
        ({"task": "token-classification", "num_parameters": 0}, "text_from_scratch"),
        ({"task": "seq2seq"}, "seq2seq"),
        ({"task": "seq2seq", "num_examples": 500}, "seq2seq"),
        ({"task": "seq2seq", "num_parameters": LARGE}, "lora"),
    ],
)
def test_the_recipe_follows_from_task_examples_and_model(changes, recipe):
    name, why = choose_recipe(facts(**changes))
    assert name == recipe
    assert name in recipe_names(FINETUNE)
    assert f"{facts(**changes).num_examples:,} examples" in why


def test_the_size_of_the_model_is_told_in_words():
    assert choose_recipe(facts(num_parameters=39_142))[1].startswith("10,000 examples, 39.1 k parameters")
    assert choose_recipe(facts(num_parameters=0))[1].startswith("10,000 examples, a model from scratch")


def test_hardly_any_examples_of_a_class_are_a_reason_to_warn():
    assert too_little_data(facts(num_examples=100)) == ""
    assert too_little_data(facts(num_examples=99)).startswith("50 examples per class are few")  # 49.5, rounded
    assert too_little_data(facts(num_examples=240, num_classes=6)).startswith("40 examples per class are few")
    assert too_little_data(facts(num_examples=49, num_classes=0)).startswith("49 examples are few")  # a regression
    assert too_little_data(facts(num_examples=50, num_classes=0)) == ""


@pytest.mark.parametrize(
    ("changes", "probe", "prompted"),
    [
        ({}, True, True),
        ({"linear_probe": True}, False, True),
        ({"num_classes": 0}, True, False),  # several labels, or a number
        ({"task": "token-classification", "num_classes": 0}, True, False),
        ({"task": "image-classification"}, True, False),
        ({"task": "image-classification", "num_parameters": 0}, False, False),
        ({"task": "seq2seq", "num_classes": 0}, False, False),
    ],
)
def test_what_few_examples_are_to_be_compared_with_is_there_for_the_task(changes, probe, prompted):
    said = too_little_data(facts(num_examples=10, **changes))
    assert ("--linear_probe" in said, "scripts/score.py" in said) == (probe, prompted)
    assert "several seeds" in said
