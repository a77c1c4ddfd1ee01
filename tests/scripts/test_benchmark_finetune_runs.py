"""Runs of the benchmark of fine-tuning: which are the same run, what they are made of, and what they leave."""

import json
import os
from pathlib import Path

import pytest

from hf_strategies.errors import UserError
from scripts.benchmarks.training_runs.measure import device_name
from scripts.benchmarks.training_runs.rows import KeptRows
from scripts.benchmarks.tuning_runs.ingredients import Ingredient, given, rows_file
from scripts.benchmarks.tuning_runs.scores import LAST
from scripts.benchmarks.tuning_runs.trial import Trial, TunedRow
from scripts.benchmarks.tuning_runs.workshop import TuningWorkshop, describe_plan, estimated_seconds, make_all, named


def trial(**changes) -> Trial:
    usual = {"part": "images", "task": "digits", "contender": "none", "seed": 0, "chosen": "from_scratch",
             "settings": {"task": "image-classification", "max_steps": 1}}  # fmt: skip
    return Trial(**{**usual, **changes})


def test_a_key_follows_settings_recipe_data_and_measurement_but_not_a_contenders_name():
    same = trial().key()
    assert trial(contender="full", part="adapters").key() == same
    assert trial(settings={**trial().settings, "max_grad_norm": 1.0}).key() == same  # what the recipe says anyway
    rows = {**trial().settings, "train_file": [rows_file("rows.jsonl", [{"a": 1}])]}
    others = [
        trial(seed=1),
        trial(chosen="vit_finetune"),
        trial(inspects="test rows"),
        trial(settings={**trial().settings, "max_grad_norm": 2.0}),
        trial(settings=rows),
        trial(settings={**rows, "train_file": [rows_file("rows.jsonl", [{"a": 2}])]}),
    ]
    assert len({same, *(other.key() for other in others)}) == 7


def test_a_wrong_setting_is_refused_before_anything_is_made(tmp_path):
    rows = rows_file("rows.jsonl", [{"text": "a"}])
    wrong = trial(settings={"task": "image-classification", "train_file": [rows], "image_mix": "cutmixx"})
    workshop = TuningWorkshop("test", KeptRows(tmp_path / "rows.jsonl", TunedRow))
    with pytest.raises(UserError, match="cutmixx"):
        describe_plan([wrong], workshop)


def test_an_ingredient_is_made_once_and_one_that_is_there_is_known_by_its_bytes(tmp_path):
    made = []

    def write(path: Path) -> None:
        made.append(path)
        path.write_text("x")

    ingredient = Ingredient("a.txt", f"test-{tmp_path.name}-{os.getpid()}", write)
    first = ingredient.path()
    assert first == ingredient.path()
    assert (first.name, first.read_text(), len(made)) == ("a.txt", "x", 1)
    for name, text in (("b.txt", "one"), ("c.txt", "two")):
        (tmp_path / name).write_text(text)
    assert given(tmp_path / "b.txt").path() == tmp_path / "b.txt"
    assert given(tmp_path / "b.txt").identity != given(tmp_path / "c.txt").identity


def test_ingredients_are_named_in_rows_and_found_by_the_script():
    file = rows_file("rows.jsonl", [{"text": "a", "label": "b"}])
    asked = trial(settings={"task": "text-classification", "train_file": [file, file], "model_name_or_path": file})
    assert asked.published()["train_file"] == ["rows.jsonl", "rows.jsonl"]
    words = asked.words()
    at = words.index("--train_file")
    assert words[at + 1 : at + 3] == [str(file.path())] * 2
    assert json.loads(file.path().read_text()) == {"text": "a", "label": "b"}


def test_a_run_of_two_parts_is_made_once_and_counted_once(tmp_path):
    workshop = TuningWorkshop("test", KeptRows(tmp_path / "rows.jsonl", TunedRow))
    both = [trial(seconds=60.0), trial(part="adapters", contender="full", seconds=60.0)]
    said = describe_plan(both, workshop)
    assert "\n1 runs to make on " in said
    assert said.endswith("about 1 min 00 s")
    done = TunedRow(
        key=both[0].key(), part="images", task="digits", contender="none", seed=0, settings={}, results={},
        wall_seconds=40.0, device=device_name(), environment={}, code="c", finished="2026-01-01",
    )  # fmt: skip
    workshop.rows.append(done)
    found = make_all(both, workshop)  # nothing is left to make
    assert [(made.part, made.contender) for made in found] == [("images", "none"), ("adapters", "full")]
    assert named(done, both[1]) == found[1]
    assert estimated_seconds(trial(seed=3), workshop.rows) == 40.0  # as the row took


def test_a_run_leaves_a_row_with_its_scores_and_its_costs(tmp_path, capsys):
    workshop = TuningWorkshop("test", KeptRows(tmp_path / "rows.jsonl", TunedRow))
    workshop._folder = tmp_path / "runs"
    short = {
        "architecture": "vit",
        "num_hidden_layers": 1,
        "hidden_size": 16,
        "num_attention_heads": 2,
        "patch_size": 4,
    }
    asked = trial(
        settings={**trial().settings, **LAST, **short, "use_cpu": True},
        inspect=lambda output: {"own_loss": float((output / "model.safetensors").is_file())},
    )
    (made,) = make_all([asked], workshop)
    assert 0 < made.results["eval_accuracy"] < 1
    assert made.results["own_loss"] == 1.0
    assert made.results["trained_parameters"] > 0
    assert made.results["peak_memory_bytes"] > 0
    assert made.settings["patch_size"] == 4
    assert "[1/1] images: digits, none, seed 0: eval_accuracy " in capsys.readouterr().out
    assert KeptRows(tmp_path / "rows.jsonl", TunedRow).get(asked.key()) == made
    assert not any((tmp_path / "runs").iterdir())
