import subprocess
import sys
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from hf_strategies.arguments import parse_arguments
from hf_strategies.arguments.topics import StrategyArguments
from hf_strategies.data.maskings import MASKINGS
from hf_strategies.data.tokenizers import SPECIAL_TOKENS
from hf_strategies.errors import UserError
from hf_strategies.models.heads import HEAD_OF

BERT = ["--architecture", "bert", "--objective", "masked"]


def parse(*argv):
    return parse_arguments(argv, description="", default_recipe="pretrain")


def test_every_objective_has_a_head_and_special_tokens_and_all_but_causal_a_masking():
    objectives = set(get_args(get_type_hints(StrategyArguments)["objective"]))
    assert objectives == {"causal", *MASKINGS.names()} == set(HEAD_OF) == set(SPECIAL_TOKENS)


def test_its_settings_go_when_another_objective_is_chosen(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("architecture: bert\nobjective: masked\nobjective_kwargs: {rate: 0.3, whole_words: true}\n")
    assert parse(str(path)).strategy.objective_kwargs == {"rate": 0.3, "whole_words": True}
    one = parse(str(path), "--objective_kwargs", "rate=0.4")
    assert one.strategy.objective_kwargs == {"rate": 0.4, "whole_words": True}
    other = parse(str(path), "--architecture", "t5", "--objective", "span")
    assert other.strategy.objective_kwargs is None
    assert any("objective span (--objective) replaces objective_kwargs" in note for note in other.notes)


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--architecture", "bert"], "architecture bert learns by objective masked, got causal"),
        (["--architecture", "vit"], "architecture vit learns by objective image-classification, got causal"),
        (["--architecture", "t5", "--objective", "masked"], r"got masked \(which fits bert, modernbert\)"),
        (["--objective", "maskd"], "expected one of causal, masked, span, got 'maskd'"),
        ([*BERT, "--patch_size", "0"], "patch_size must be at least 1, got 0"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_model_that_does_not_learn_by_it_is_refused(flags, complaint):
    with pytest.raises(UserError, match=complaint):
        parse(*flags)


def test_an_objective_is_checked_without_torch():
    code = (
        "import sys\nfrom hf_strategies.arguments import parse_arguments\n"
        "parse_arguments(sys.argv[1:], description='', default_recipe='pretrain')\n"
        "assert 'torch' not in sys.modules"
    )
    command = [sys.executable, "-c", code, *BERT, "--objective_kwargs", "rate=0.3"]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[2])
