from pathlib import Path

from hf_strategies.arguments import parse_arguments
from hf_strategies.models.factory import create_config, create_model
from hf_strategies.models.sizes import resolve_sizes
from hf_strategies.runs.results import closing_table, hub_name, own_package, setting_rows


def test_every_setting_is_listed_with_the_place_that_set_it():
    arguments = parse_arguments(["--learning_rate", "1e-3"], description="", default_recipe="pretrain")
    rows = {row.name: row for row in setting_rows(arguments)}
    assert (rows["learning_rate"].value, rows["learning_rate"].where) == (1e-3, "--learning_rate")
    assert rows["optimizer"].where.startswith("recipe pretrain:")
    assert (rows["streaming"].topic, rows["streaming"].where) == ("Data", "default")
    assert len(rows) == len(setting_rows(arguments))  # none is listed twice


def test_a_folder_of_ones_own_is_no_name_on_the_hub(tmp_path):
    assert hub_name("someone/tiny") == "someone/tiny"
    assert hub_name(str(tmp_path)) == hub_name(None) == ""


def test_the_package_of_a_class_of_ours_is_known(tiny_lm):
    sizes, _ = resolve_sizes("hyena", {"hidden_size": 16, "num_hidden_layers": 1})
    hyena = create_model(create_config("hyena", vocab_size=64, max_seq_length=8, sizes=sizes))
    assert own_package(hyena) == "hf_strategies.models.hyena"
    assert own_package(tiny_lm) == ""


def test_the_closing_table_fits_a_terminal():
    results = {"eval_loss": 4.5, "eval_bits_per_byte": 1.67, "train_tokens_per_second": 4244.0, "train_runtime": 228.0}
    lines = closing_table(results, Path("runs/pretrain-1")).splitlines()
    assert lines[1].split("  ") == ["evaluation loss", "bits per byte", "tokens per second", "training time"]
    assert lines[3].split() == ["4.5", "1.67", "4,244", "3", "min", "48", "s"]
    assert lines[-1] == "report  runs/pretrain-1/report.html"
    assert max(map(len, lines)) <= 100
