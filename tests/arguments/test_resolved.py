import yaml

from hf_strategies.arguments import parse_arguments
from hf_strategies.arguments.resolved import differences, read_resolved, resolved_settings, write_resolved


def parse(*argv: str):
    return parse_arguments(argv, description="A test.", default_recipe="pretrain")


ARGV = [
    "--optimizer",
    "lion",
    "--learning_rate",
    "1e-4",
    "--train_file",
    "a.txt",
    "b: c.txt",
    "--text_column",
    "#text",
]


def test_the_file_reruns_the_run(tmp_path):
    first = parse(*ARGV)
    path = write_resolved(first, tmp_path, "A run.\nOf a test.")
    again = parse(str(path))
    assert resolved_settings(again) == resolved_settings(first)
    assert (again.name, again.recipe) == (first.name, first.recipe)


def test_a_default_that_a_rival_has_replaced_is_not_written_down(tmp_path):
    first = parse("--train_file", "a.txt", "--validation_file", "b.txt")
    path = write_resolved(first, tmp_path, "A run.")
    assert "validation_share" not in path.read_text()
    assert resolved_settings(parse(str(path))) == resolved_settings(first)


def test_each_value_says_which_layer_set_it(tmp_path):
    lines = write_resolved(parse(*ARGV), tmp_path, "A run.").read_text().splitlines()
    assert lines[0] == "# A run."
    assert "learning_rate: 0.0001  # --learning_rate" in lines
    assert "streaming: false  # default" in lines
    assert any(line.startswith("scheduler: linear  # recipe pretrain:") for line in lines)


def test_a_secret_stays_out_of_it(tmp_path):
    path = write_resolved(parse("--hub_token", "hf_secret"), tmp_path, "A run.")
    assert "hf_secret" not in path.read_text()


def test_the_same_run_is_recognised_and_another_is_told_apart(tmp_path):
    write_resolved(parse(*ARGV), tmp_path, "A run.")
    earlier = read_resolved(tmp_path)
    assert differences(earlier, parse(*ARGV, "--output_dir", "elsewhere", "--report_to", "none")) == {}
    assert differences(earlier, parse(*ARGV, "--weight_decay", "0.2", "--seed", "1")) == {
        "weight_decay": "weight_decay: 0.1 there, 0.2 here",
        "seed": "seed: None there, 1 here",
    }


def test_an_empty_folder_holds_no_run(tmp_path):
    assert read_resolved(tmp_path) is None


def test_it_is_plain_yaml(tmp_path):
    written = yaml.safe_load(write_resolved(parse(*ARGV), tmp_path, "A run.").read_text())
    assert written["train_file"] == ["a.txt", "b: c.txt"]
    assert written["text_column"] == "#text"
