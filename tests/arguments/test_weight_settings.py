"""Which weights learn: what cannot be had together is refused before any data are read."""

import pytest

from hf_strategies.adapters import ADAPTERS
from hf_strategies.arguments import parse_arguments
from hf_strategies.arguments.tuning_topics import FINETUNE
from hf_strategies.errors import UserError


def parse(*argv: str):
    return parse_arguments(argv, description="A test.", default_recipe="finetune", job=FINETUNE)


def line_of(*argv: str) -> str:
    with pytest.raises(UserError) as refused:
        parse(*argv)
    (line,) = str(refused.value).splitlines()
    return line


TEXTS = ["--task", "text-classification", "--model_name_or_path", "bert-base-cased"]


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--adapter", "lora", "--linear_probe"], "--linear_probe: linear_probe does not go with adapter lora"),
        (["--adapter", "ia3", "--freeze", "encoder"], "--freeze: freeze does not go with adapter ia3 (--adapter)"),
        (["linear_probe", "--adapter", "lora"], "recipe linear_probe:7: linear_probe does not go with adapter lora"),
        (["lora", "--linear_probe"], "--linear_probe: linear_probe does not go with adapter lora (recipe lora:7)"),
    ],
)
def test_what_an_adapter_freezes_is_not_up_to_others(flags, complaint):
    recipes, rest = (flags[:1], flags[1:]) if not flags[0].startswith("--") else ([], flags)
    assert line_of(*recipes, *TEXTS, *rest).startswith(complaint)


@pytest.mark.parametrize(
    "flags",
    [["--adapter", "lora"], ["--linear_probe"], ["--freeze", "embeddings"], ["--reinitialize_blocks", "1"]],
)
def test_random_weights_are_neither_frozen_nor_adapted(flags):
    said = line_of("from_scratch", "--task", "image-classification", *flags)
    assert said.startswith(f"{flags[0]}: {flags[0][2:]} needs a checkpoint, and architecture vit (recipe from_scra")


@pytest.mark.parametrize(
    ("task", "architecture", "instead"),
    [
        ("image-classification", "bert", "take vit, or name a checkpoint with model_name_or_path"),
        ("image-classification", "t5", "take vit, or name a checkpoint with model_name_or_path"),
        (
            "token-classification",
            "t5",
            "take lstm or gru or bert or modernbert, or name a checkpoint with model_name_or_path",
        ),
        ("clip-classification", "vit", "take resnet3d, or name a checkpoint with model_name_or_path"),
        ("seq2seq", "t5", "name a checkpoint with model_name_or_path"),
    ],
)
def test_an_architecture_that_cannot_learn_the_task_from_scratch(task, architecture, instead):
    said = line_of("--task", task, "--architecture", architecture)
    assert said == f"--architecture: architecture {architecture} does not learn {task} from scratch: {instead}"


def test_what_cannot_be_merged_is_refused_before_it_is_trained():
    for adapter in ADAPTERS:
        flags = [*TEXTS, "--adapter", adapter.name, "--merge_adapter"]
        if adapter.facts["adapts"] != "input":
            assert parse(*flags).weights.merge_adapter
        else:
            said = f"--merge_adapter: {adapter.name} cannot become part of the weights; lora, rslora, dora, "
            assert line_of(*flags).startswith(said)


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (
            ["--eval_strategy", "no"],
            "--eval_strategy: load_best_model_at_end (recipe finetune:22) needs an eval",
        ),
        (
            ["--save_strategy", "no"],
            "--save_strategy: load_best_model_at_end (recipe finetune:22) needs an eval",
        ),
        (
            ["--label_smoothing_factor", "2"],
            "--label_smoothing_factor: label_smoothing_factor must be a share in",
        ),
        (["--eval_accumulation_steps", "0"], "--eval_accumulation_steps: eval_accumulation_steps must be at least 1"),
        (["--neftune_noise_alpha", "-5"], "--neftune_noise_alpha: neftune_noise_alpha must be at least 0"),
    ],
)
def test_what_the_host_would_meet_in_training_is_refused_before_it(flags, complaint):
    assert line_of(*TEXTS, *flags).startswith(complaint)


@pytest.mark.parametrize(
    "flags",
    [
        ["--eval_strategy", "no", "--load_best_model_at_end", "false"],
        ["--save_strategy", "best"],
        ["--eval_strategy", "steps", "--save_strategy", "steps"],
    ],
)
def test_a_best_checkpoint_that_can_be_kept_is_not_refused(flags):
    parse(*TEXTS, *flags)
