import pytest

from hf_strategies.arguments import parse_arguments
from hf_strategies.arguments.resolved import resolved_settings
from hf_strategies.arguments.tuning_topics import SCORE
from hf_strategies.errors import UserError


def parse(*argv: str):
    return parse_arguments(argv, description="A test.", default_recipe="score", job=SCORE)


def line_of(*argv: str) -> str:
    with pytest.raises(UserError) as refused:
        parse(*argv)
    (line,) = str(refused.value).splitlines()
    return line


def test_the_words_of_a_recipe_are_replaced_not_added_to():
    assert parse("sentiment").prompting.label_words == {"0": "negative", "1": "positive"}
    assert parse("sentiment", "--label_words", "no=bad,yes=good").prompting.label_words == {"no": "bad", "yes": "good"}


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (["--learning_rate", "1e-3"], "--learning_rate: unknown setting 'learning_rate'"),  # nothing learns
        (["--streaming"], "--streaming: streaming is a setting of scripts/pretrain.py, not of this job"),
        (["--shots", "0", "-1"], "--shots: shots must be whole numbers of at least 0, got ['0', '-1']"),
        (["--num_seeds", "0"], "--num_seeds: num_seeds must be at least 1, got 0"),
        (["--label_words", "0=no,1=perhaps"], "--label_words: the word of 0 was read as False: quote it, 0='yes'"),
        (["--task", "seq2seq"], "--task: task: expected one of text-classification, got 'seq2seq'"),
        (["--compare", "/nowhere"], "--compare: /nowhere holds no finished run (all_results.json is not there)"),
        (["lora"], "lora is a recipe of scripts/finetune.py, not of this job"),
    ],
)
def test_a_mistake_is_one_line(argv, complaint):
    assert complaint in line_of(*argv)


def test_only_what_is_used_is_offered_and_written_down():
    written = resolved_settings(parse())
    assert {"shots", "prompt_template", "train_file", "bf16"} <= written.keys()
    assert not {"streaming", "hidden_size", "packing", "allow_change"} & written.keys()
