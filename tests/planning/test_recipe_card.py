import pytest

from hf_strategies.__main__ import RECIPES_OF
from hf_strategies.arguments.layers import recipe_names
from hf_strategies.planning.recipe_card import describe_recipe


@pytest.mark.parametrize(("name", "job"), [(name, job) for job in RECIPES_OF for name in recipe_names(job)])
def test_every_recipe_has_a_card(name, job):
    assert describe_recipe(name, job).startswith(f"{name}, a recipe of scripts/{job}.py\n")


def test_a_card_has_the_source_every_setting_and_the_recipe_that_set_it():
    card = describe_recipe("gpt3_1b3", "pretrain")
    assert "\nSource: Brown et al. 2020, https://arxiv.org/abs/2005.14165, table 2.1" in card
    assert "\nlearning_rate                0.0002\n" in card
    assert "\nlogging_steps                10  (from gpt3_125m)\n" in card
    assert "\noptimizer_kwargs             {betas: [0.9, 0.95], eps: 1.0e-08}  (from gpt3_125m)\n" in card


def test_a_card_draws_the_whole_run():
    # cosine to a tenth over 260 of 300 B tokens, then flat: the last 13% of 66 columns, 8 of them, are in row 1 of 11
    lines = describe_recipe("gpt3_1b3", "pretrain").splitlines()
    top = next(number for number, line in enumerate(lines) if line.startswith("    0.0002 |*"))
    assert lines[top + 10].endswith("*" * 9)
    assert lines[top + 11] == "         0 |*"
    assert lines[top + 13].endswith(" 286,102")


def test_a_run_counted_in_epochs_is_not_drawn():
    assert "Its schedule, cosine, is as long as its data are" in describe_recipe("vit_finetune", "finetune")
    assert "It sets no schedule of its own." in describe_recipe("sentiment", "score")


def test_a_comparison_is_shown_with_what_it_varies():
    card = describe_recipe("compare_architecture", "compare")
    assert "# The first values are the pre-norm decoder" in card
    assert "\n  hidden_size: [128, 96, 192]\n" in card
