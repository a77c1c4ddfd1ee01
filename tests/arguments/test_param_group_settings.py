"""Parameter groups on the command line: right ones arrive, wrong ones are refused before torch is imported."""

import pytest

from hf_strategies.arguments import parse_arguments
from hf_strategies.errors import UserError


def parse(*argv: str):
    return parse_arguments(argv, description="A test.", default_recipe="pretrain")


def test_they_are_written_as_pairs_or_json_or_yaml(tmp_path):
    assert parse("--param_groups", "layerwise_lr_decay=0.75,decay_embeddings=false").strategy.param_groups == {
        "layerwise_lr_decay": 0.75,
        "decay_embeddings": False,
    }
    rules = {"rules": [{"pattern": r"layers\.0\.", "lr": 2e-5}]}
    assert (
        parse("--param_groups", '{"rules": [{"pattern": "layers\\\\.0\\\\.", "lr": 2e-5}]}').strategy.param_groups
        == rules
    )
    path = tmp_path / "mine.yaml"
    path.write_text("param_groups:\n  rules:\n    - {pattern: 'layers\\.0\\.', lr: 2e-5}\n")
    assert parse(str(path)).strategy.param_groups == rules


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--param_groups", "layer_decay=0.5"], "no setting 'layer_decay', did you mean 'layerwise_lr_decay'?"),
        (["--param_groups", "layerwise_lr_decay=2"], "layerwise_lr_decay must be a number in (0, 1], got 2"),
        (["--param_groups", '{"rules": [{"pattern": "("}]}'], "rule '(' is no regular expression"),
        (
            ["--optimizer", "lion", "--param_groups", '{"rules": [{"pattern": "head", "optimizer": "matrix"}]}'],
            "lion has no matrix half to choose",
        ),
        (["--optim", "adamw_torch", "--param_groups", "decay_embeddings=false"], "param_groups needs an optimizer"),
    ],
)
def test_what_is_wrong_is_said_with_its_flag(flags, complaint):
    with pytest.raises(UserError) as caught:
        parse(*flags)
    (line,) = str(caught.value).splitlines()
    assert line.startswith("--param_groups: ")
    assert complaint in line
