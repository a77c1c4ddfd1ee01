"""Settings that a job or a task has no use for: refused, and neither shown nor written down."""

import pytest

from hf_strategies.arguments import parse_arguments
from hf_strategies.arguments.resolved import resolved_settings, write_resolved
from hf_strategies.arguments.tuning_topics import FINETUNE, TASKS_WITH
from hf_strategies.errors import UserError
from hf_strategies.tasks import TASKS


def parse(*argv: str):
    return parse_arguments(argv, description="A test.", default_recipe="finetune", job=FINETUNE)


def line_of(*argv: str) -> str:
    with pytest.raises(UserError) as refused:
        parse(*argv)
    (line,) = str(refused.value).splitlines()
    return line


@pytest.mark.parametrize(
    ("task", "flags", "complaint"),
    [
        ("text-classification", ["--packing"], "packing is for causal-lm, got task text-classification"),
        ("seq2seq", ["--prompt_template", "Say: {text}"], "prompt_template is for causal-lm, got task seq2seq"),
        ("causal-lm", ["--max_target_length", "9"], "max_target_length is for seq2seq, got task causal-lm"),
        ("causal-lm", ["--text_column", "prompt"], "text_column is for text-classification, token-classification, "),
        ("text-classification", ["--image_column", "x"], "image_column is for image-classification, got task text-"),
        ("seq2seq", ["--image_size", "8"], "image_size is for image-classification, clip-classification, got task s"),
        ("seq2seq", ["--text_pair_column", "b"], "text_pair_column is for text-classification, got task seq2seq"),
        ("seq2seq", ["--regression"], "regression is for text-classification, got task seq2seq"),
    ],
)
def test_a_setting_of_another_task_is_refused(task, flags, complaint):
    assert line_of("--task", task, *flags).startswith(f"{flags[0]}: {complaint}")


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--synonyms", "wordnet"], "synonyms belongs to text_augmentation synonym_replacement or random_inser"),
        (["--synonyms", "wordnet", "--text_augmentation", "aeda"], "synonyms belongs to text_augmentation synonym_"),
        (["--back_translation", "there=x"], "back_translation belongs to text_augmentation back_translation, which "),
    ],
)
def test_what_an_augmentation_needs_is_refused_without_it(flags, complaint):
    assert line_of("--task", "text-classification", *flags).startswith(f"{flags[0]}: {complaint}")


def test_what_an_augmentation_needs_is_taken_beside_it():
    flags = ["--text_augmentation", "back_translation,eda", "--synonyms", "wordnet", "--back_translation", "there=x"]
    assert parse("--task", "seq2seq", *flags).augmentation.synonyms == "wordnet"


@pytest.mark.parametrize(
    "flag",
    ["--objective=span", "--isolate_documents", "--preprocessing_num_workers=2", "--streaming"],
)
def test_settings_of_pretraining_are_none_of_fine_tuning(flag):
    name = flag.strip("-").partition("=")[0]
    said = line_of("--task", "text-classification", flag)
    assert said == f"--{name}: {name} is a setting of scripts/pretrain.py, not of this job"


def test_a_tokenizer_is_trained_for_texts_alone():
    said = line_of("--task", "clip-classification", "--architecture", "resnet3d", "--tokenizer", "chars")
    assert (
        said == "--tokenizer: tokenizer is for text-classification, token-classification, got task clip-classification"
    )
    assert parse("--task", "text-classification", "--architecture", "gru", "--tokenizer", "chars")


def test_settings_of_fine_tuning_are_none_of_pretraining():
    with pytest.raises(UserError, match=r"adapter is a setting of scripts/finetune\.py, not of this job"):
        parse_arguments(["--adapter", "lora"], description="", default_recipe="pretrain")


@pytest.mark.parametrize("task", TASKS.names())
def test_only_what_a_task_uses_is_written_down_and_runs_again(task, tmp_path):
    first = parse("--task", task)
    written = resolved_settings(first)
    assert {name for name in TASKS_WITH if name in written} == {
        name for name, tasks in TASKS_WITH.items() if task in tasks
    }
    assert not {"objective", "streaming"} & written.keys()
    assert resolved_settings(parse(str(write_resolved(first, tmp_path, "A run.")))) == written
