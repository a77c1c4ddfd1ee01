"""The benchmark of fine-tuning: what its parts make of rows, what it lists, and what it puts together."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hf_strategies.reports import format_table
from scripts.benchmarks import Table
from scripts.benchmarks.finetune import PARTS, collect
from scripts.benchmarks.training_runs.goals import Floor, Goal
from scripts.benchmarks.tuning_runs import adapters, forgetting, images, packing, prompts, small_data
from scripts.benchmarks.tuning_runs.scope import Report, Scope
from scripts.benchmarks.tuning_runs.trial import TunedRow

ROOT = Path(__file__).parents[2]


def row(part: str, contender: str, seed: int = 0, task: str = "TREC", seconds: float = 40.0, **results) -> TunedRow:
    return TunedRow(
        key=f"{part}-{task}-{contender}-{seed}", part=part, task=task, contender=contender, seed=seed, settings={},
        results=results, wall_seconds=seconds, device="CPU", environment={}, code="c", finished="2026-01-01",
    )  # fmt: skip


def classified(contender: str, accuracies: list[float], task: str) -> list[TunedRow]:
    return [
        row("small_data", contender, seed, task, test_accuracy=accuracy, test_majority=0.25)
        for seed, accuracy in enumerate(accuracies)
    ]


def verdicts(report: Report) -> dict[str, tuple[float, str]]:
    """Read the goals as a reader does: what was seen, and the verdict."""
    return {line["goal"]: (line["seen"], line["verdict"]) for line in (goal.row() for goal in report.goals)}


def check_width(report: Report) -> None:
    """No table is wider than a page."""
    for table in [Table([goal.row() for goal in report.goals]), *report.tables]:
        headers = list(dict.fromkeys(name for line in table.rows for name in line))
        written = format_table([[line.get(name, "") for name in headers] for line in table.rows], headers)
        assert max(map(len, written.splitlines()), default=0) <= 100, table.caption
    assert max(map(len, report.remarks), default=0) < 260


def test_a_floor_is_met_from_its_value_on_and_says_by_how_much_it_is_missed():
    assert Floor("gain", 3.0, [2.0, 4.0]).row()["verdict"] == "met"
    missed = Floor("gain", 3.0, [1.0, 2.5]).row()
    assert (missed["at_least"], missed["seen"], missed["verdict"]) == (3.0, 1.75, "missed by 1.25")
    assert missed["range"] == "1.000 to 2.500"


def test_a_goal_of_none_is_missed_by_what_there_is():
    assert Goal("collapsed", 0, [2]).row()["verdict"] == "missed by 2"
    assert Goal("collapsed", 0, [0]).row()["verdict"] == "met"


@pytest.fixture
def tested(monkeypatch):
    monkeypatch.setattr(small_data, "sides", lambda _: ([], [{}] * 500))


def test_small_data_weighs_the_recipe_against_its_peer_and_against_random_weights(tested):
    rows = [row("small_data", "encoder", task="pretraining", seconds=660.0, eval_loss=4.25)]
    for task in small_data.TASKS:
        rows += classified("recipe", [0.60, 0.64, 0.62], task)
        rows += classified("run_glue", [0.58, 0.61, 0.58], task)  # 2, 3 and 4 points below
        rows += classified("from scratch", [0.70, 0.26, 0.60], task)  # one at 26% of 25%: collapsed
        rows += classified("recipe + aeda", [0.65, 0.65, 0.65], task)
    report = small_data.report(rows)
    found = verdicts(report)
    assert found["TREC: recipe - run_glue, points"] == (pytest.approx(3.0), "met")
    assert found["TREC: recipe - from scratch, points"] == (pytest.approx(10.0), "met")
    assert found["TREC: recipe's deviation over seeds, points"] == (pytest.approx(2.0), "met")
    assert found["rt-polarity: collapsed seeds of the recipe"] == (0, "met")
    assert len(report.goals) == 8
    recipe, _, scratch, aeda = report.tables[0].rows
    assert (recipe["mean"], recipe["std"], recipe["worst"], recipe["collapsed"]) == ("0.620", "0.020", "0.600", 0)
    assert (scratch["contender"], scratch["collapsed"], scratch["seeds"]) == ("from scratch", 1, 3)
    assert (aeda["mean"], aeda["std"]) == ("0.650", "0.000")
    assert report.scores["TREC"]["run_glue"] == [0.58, 0.61, 0.58]
    assert report.remarks[-1] == "encoder: 11.0 minutes, to a loss of 4.25."
    check_width(report)


def test_small_data_misses_where_the_peer_is_as_good_and_a_seed_collapses(tested):
    rows = []
    for task in small_data.TASKS:
        rows += classified("recipe", [0.60, 0.27], task) + classified("run_glue", [0.50, 0.37], task)
        rows += classified("from scratch", [0.50, 0.50], task)
    found = verdicts(small_data.report(rows))
    assert found["TREC: recipe - run_glue, points"] == (0.0, "missed by 3")
    assert found["TREC: recipe - from scratch, points"][1] == "missed by 6.5"
    # |0.60 - 0.27| / sqrt(2) = 0.2333
    assert found["TREC: recipe's deviation over seeds, points"] == (23.335, "missed by 678%")
    assert found["TREC: collapsed seeds of the recipe"] == (1, "missed by 1")


def test_adapters_compare_the_default_rate_with_the_best_of_the_sweep():
    costs = {"trained_parameters": 12_345, "peak_memory_bytes": 700e6}

    def scored(name: str, accuracies: list[float]) -> list[TunedRow]:
        return [
            row("adapters", name, seed, eval_accuracy=accuracy, **costs) for seed, accuracy in enumerate(accuracies)
        ]

    rows = [made for name in adapters.WEIGHTS for made in scored(name, [0.50, 0.50])]
    for rate, accuracy in zip(adapters.RATES, (0.3, 0.4, 0.49, 0.55, 0.2), strict=True):
        rows += scored(adapters.at(rate), [accuracy - 0.01, accuracy + 0.01])
    report = adapters.report(rows)
    ((name, (seen, verdict)),) = verdicts(report).items()
    assert "lora at 0.003, the best of its sweep" in name
    assert (seen, verdict) == (1.1, "missed by 8%")  # 0.55 / 0.50 against 1.02
    full = report.tables[0].rows[0]
    assert (full["weights"], full["learn"], full["peak_MB"], full["mean"]) == ("full", "12.3 k", 700, "0.500")
    assert [line["weights"] for line in report.tables[1].rows] == ["lora", *map(adapters.at, adapters.RATES)]
    check_width(report)


def test_forgetting_is_the_rise_of_the_loss_on_the_models_own_text():
    losses = {"before": (4.0, 1.0), "full": (3.0, 2.5), "full, a tenth of the rate": (3.5, 1.5)}
    losses |= {"full, with replay": (3.1, 1.25), "lora": (3.2, 2.75)}
    rows = [row("forgetting", name, eval_loss=new, own_loss=own) for name, (new, own) in losses.items()]
    report = forgetting.report(rows)
    assert verdicts(report) == {
        "tinyshakespeare: loss that full fine-tuning takes off": (1.0, "met"),
        "loss on its own text: full - full, with replay": (1.25, "met"),
        "loss on its own text: full - lora": (-0.25, "missed by 0.25"),
    }
    assert [line["forgotten"] for line in report.tables[0].rows] == ["+0.000", "+1.500", "+0.500", "+0.250", "+1.750"]
    check_width(report)


def test_images_show_every_augmentation_beside_none():
    rows = [
        row("images", name, seed, task, eval_accuracy=0.5 + 0.1 * seed, epoch=20.0)
        for task in ("digits", "cifar10_6k")
        for name in images.AUGMENTATIONS
        for seed in range(2)
    ]
    report = images.report(rows)
    digits, cifar = report.tables
    assert digits.caption == "digits: a vision transformer from scratch, 20 epochs, validation accuracy"
    assert [line["augmentation"] for line in cifar.rows] == list(images.AUGMENTATIONS)
    assert {(line["mean"], line["std"], line["worst"]) for line in cifar.rows} == {("0.550", "0.071", "0.500")}
    check_width(report)


def test_prompts_stand_beside_what_learns():
    trained = {"soft prompt, prefix": 640, "adapter, lora": 12_288, "full fine-tuning": 260_032}
    rows = [
        row("prompts", name, seed, "TREC", eval_accuracy=0.3 + 0.1 * seed, trained_parameters=trained.get(name, 0),
            peak_memory_bytes=(seed + 5) * 1e8)
        for name in (*prompts.PROMPTED, *prompts.TUNED)
        for seed in range(3)
    ]  # fmt: skip
    report = prompts.report(rows)
    by_name = {line["method"]: line for line in report.tables[0].rows}
    assert list(by_name) == [*prompts.PROMPTED, *prompts.TUNED]
    assert [line["learn"] for line in by_name.values()] == ["0", "0", "0", "0", "640", "12.3 k", "260 k"]
    assert {(line["mean"], line["std"], line["peak_MB"]) for line in by_name.values()} == {("0.400", "0.100", 600)}
    check_width(report)


def test_packing_has_an_aim_of_its_own_for_each_kind_of_lengths():
    rates = {"packed_tokens_per_second": 2000.0, "padded_tokens_per_second": 1250.0}
    fills = {"packed_fill": 0.98, "padded_fill": 0.55, "lowest_speedup": 1.5, "highest_speedup": 1.75}
    rows = [
        row("packing", "both", 0, kind, speedup=1.6, gradient_difference=difference, **rates, **fills)
        for kind, difference in (("uniform", 4e-7), ("skewed", 2e-6))
    ]
    report = packing.report(rows)
    assert verdicts(report) == {
        "uniform lengths: tokens per second, packed / padded": (1.6, "met"),
        "skewed lengths: tokens per second, packed / padded": (1.6, "missed by 0.4"),
        "gradients packed and padded: difference / greatest": (0.0, "missed by 100%"),
    }
    assert report.tables[0].rows[0]["range"] == "1.50 to 1.75"
    check_width(report)


@pytest.fixture
def clone(tmp_path):
    """A copy of scripts/ that keeps its rows and results to itself."""
    folder = tmp_path / "clone"
    unwanted = shutil.ignore_patterns("__pycache__", "rows", "RESULTS.md", "*.png")
    shutil.copytree(ROOT / "scripts", folder / "scripts", ignore=unwanted)
    return folder


def test_a_dry_run_lists_every_run_and_makes_none(clone, tmp_path, real_data):
    data = str(real_data("README.md").parent)
    env = {**os.environ, "PYTHONPATH": str(ROOT), "HF_STRATEGIES_CACHE": str(tmp_path / "cache"),
           "HF_STRATEGIES_DATA": data}  # fmt: skip
    command = [sys.executable, "scripts/benchmark.py", "finetune", "--dry_run", "--seeds", "5"]
    done = subprocess.run(command, cwd=clone, env=env, capture_output=True, text=True, check=True)
    runs: dict[str, int] = {}
    for line in done.stdout.splitlines():
        if line.startswith(PARTS):
            runs[line.split()[0]] = runs.get(line.split()[0], 0) + int(line.rsplit(maxsplit=4)[1])
    # 5 contenders on 2 tasks with 5 seeds, and 3 encoders; 4 kinds and 5 rates with 5; 6; 5 on 2 with 2; 7 with 3; 2.
    assert runs == {"small_data": 53, "adapters": 45, "forgetting": 6, "images": 20, "prompts": 21, "packing": 2}
    assert "\n147 runs to make on " in done.stdout
    assert not (clone / "runs").exists()
    assert not (clone / "scripts" / "benchmarks" / "rows").exists()
    assert not (tmp_path / "cache").exists()


def test_parts_are_chosen_by_name(clone):
    command = [sys.executable, "scripts/benchmark.py", "finetune", "--dry_run", "--parts", "small-data"]
    done = subprocess.run(command, cwd=clone, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert (done.returncode, done.stderr.strip().count("\n")) == (2, 0)
    assert "unknown part 'small-data', did you mean 'small_data'?" in done.stderr


def test_short_runs_end_after_so_many_updates_whatever_their_epochs():
    scope = Scope(seeds=1, max_steps=7)
    made = scope.trial(part="p", task="t", contender="c", seed=0, settings={"num_train_epochs": 3, "seed": 0})
    assert made.settings == {"seed": 0, "max_steps": 7}
    assert Scope(seeds=1).trial(part="p", task="t", contender="c", seed=0, settings={"a": 1}).settings == {"a": 1}


def test_goals_of_all_parts_stand_in_one_table_and_scores_are_drawn(monkeypatch, tmp_path):
    monkeypatch.setattr("scripts.benchmarks.training_runs.pictures.FOLDER", tmp_path)
    scores = {task: {"recipe": [0.6, 0.62], "run_glue": [0.5, 0.4]} for task in small_data.TASKS}
    reports = {
        "small_data": Report([Floor("gain", 3.0, [4.0])], [Table([{"a": 1}])], ["one"], scores),
        "images": Report(tables=[Table([{"b": 2}])], remarks=["two"]),
        "packing": Report([Goal("difference", 1e-6, [0.0])]),
    }
    findings = collect(reports, condition="short")
    assert [line["goal"] for line in findings.tables[0].rows] == ["gain", "difference"]
    assert [list(table.rows[0]) for table in findings.tables[1:]] == [["a"], ["b"]]
    assert (findings.remarks, findings.condition) == (["one", "two"], "short")
    ((picture, caption),) = findings.pictures
    assert (picture.stat().st_size > 10_000, caption) == (True, "small_data: accuracy by seed")
    assert collect({"images": reports["images"]}, condition="").tables == [reports["images"].tables[0]]
