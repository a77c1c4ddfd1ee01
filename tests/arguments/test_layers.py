import pytest

from hf_strategies.arguments.layers import find_recipe, read_flags, read_yaml, recipe_names
from hf_strategies.arguments.settings import Setting, parse_annotation
from hf_strategies.errors import UserError


def known(**annotations: str) -> dict[str, Setting]:
    return {
        name: Setting(name=name, default=None, help="", topic="", **parse_annotation(text))
        for name, text in annotations.items()
    }


SETTINGS = known(bf16="bool", learning_rate="float", train_file="list[str]", max_steps="int", debug="str | list[str]")


def flags(*argv):
    problems: list[str] = []
    layer, loose = read_flags(argv, SETTINGS, problems)
    return {name: written.value for name, written in layer.values.items()}, loose, problems


def test_flags_are_read_in_every_spelling():
    values, loose, problems = flags(
        "mine.yaml", "--learning-rate", "1e-3", "--max_steps=-1", "--train_file", "a.txt", "b.txt", "--bf16"
    )
    assert values == {"learning_rate": "1e-3", "max_steps": "-1", "train_file": ["a.txt", "b.txt"], "bf16": True}
    assert (loose, problems) == (["mine.yaml"], [])


def test_a_bare_truth_value_does_not_swallow_the_recipe():
    assert flags("--bf16", "mine.yaml")[:2] == ({"bf16": True}, ["mine.yaml"])
    assert flags("--bf16", "false")[:2] == ({"bf16": "false"}, [])
    assert flags("--no_bf16")[:2] == ({"bf16": False}, [])


def test_a_negative_number_is_a_value():
    assert flags("--max_steps", "-1")[0] == {"max_steps": "-1"}


def test_debug_alone_is_ours_and_takes_nothing():
    assert flags("--debug", "mine.yaml") == ({}, ["mine.yaml"], [])
    assert flags("--debug=underflow_overflow")[0] == {"debug": "underflow_overflow"}


def test_every_bad_flag_is_reported_at_once():
    *_, problems = flags("--learning_rte", "1e-3", "--max_steps", "--no_learning_rate", "--bf16", "--bf16")
    assert problems == [
        "--learning_rte: unknown setting 'learning_rte', did you mean 'learning_rate'?",
        "--max_steps: expected a value, got none",
        "--no_learning_rate: only a truth value can be negated; learning_rate is not one",
        "--bf16: given twice",
    ]


def test_yaml_values_remember_their_lines(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("# a comment\nlearning_rate: 2e-5\n\noptimizer_kwargs:\n  betas: [0.9, 0.95]\ntrain_file: a.txt\n")
    layer = read_yaml(path, "mine.yaml")
    assert {name: (item.value, item.where) for name, item in layer.values.items()} == {
        "learning_rate": (2e-5, "mine.yaml:2"),
        "optimizer_kwargs": ({"betas": [0.9, 0.95]}, "mine.yaml:4"),
        "train_file": ("a.txt", "mine.yaml:6"),
    }


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("learning_rate: 1\nlearning_rate: 2\n", "mine.yaml:2: learning_rate is given twice"),
        ("- a\n- b\n", "mine.yaml:1: expected `name: value` lines, got a list"),
        ("learning_rate: [1, 2\n", "mine.yaml:2: not YAML"),
        ("a: !!python/object/apply:os.system ['true']\n", "mine.yaml:1: not YAML"),
        ("a: \x00\n", "mine.yaml: not YAML"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused_with_its_line(tmp_path, text, complaint):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=complaint):
        read_yaml(path, "mine.yaml")


def test_an_empty_file_sets_nothing(tmp_path):
    path = tmp_path / "empty.yaml"
    path.touch()
    assert read_yaml(path, "empty.yaml").values == {}


def test_recipes_are_found_by_name_and_files_by_path():
    assert find_recipe("pretrain", "pretrain").stem == "pretrain"
    with pytest.raises(UserError, match="unknown recipe 'pretrian', did you mean 'pretrain'"):
        find_recipe("pretrian", "pretrain")
    with pytest.raises(UserError, match="no such file"):
        find_recipe("nowhere.yaml", "pretrain")


def test_a_job_has_recipes_of_its_own_and_knows_whose_another_is():
    assert "lora" in recipe_names("finetune")
    assert "lora" not in recipe_names("pretrain")
    with pytest.raises(UserError, match=r"^lora is a recipe of scripts/finetune\.py, not of this job \(known: atten"):
        find_recipe("lora", "pretrain")
    with pytest.raises(UserError, match=r"'qlorra', did you mean 'qlora'\? \(known: clips_from_scratch, finetune"):
        find_recipe("qlorra", "finetune")
