"""The command that measures: its options, and the file that it writes its findings to."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from hf_strategies.distributed.ranks import available_cores
from hf_strategies.errors import UserError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def benchmark(monkeypatch):
    """The script as a module, its folder on the path as when it runs."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module("benchmark")


def measured(*, size: str, seeds: int = 3, rates: tuple[float, ...] = (1e-3,), dry_run: bool = False) -> None: ...


def test_options_are_the_keyword_arguments_each_of_its_type(benchmark):
    words = ["--size", "5M", "--seeds", "2", "--rates", "2e-3", "4e-3", "--dry_run"]
    options = benchmark.read_options(measured, words)
    assert options == {"size": "5M", "seeds": 2, "rates": (2e-3, 4e-3), "dry_run": True}
    assert benchmark.read_options(measured, ["--rates", "8e-3"]) == {"rates": (8e-3,)}


def test_every_wrong_option_is_said_at_once(benchmark):
    with pytest.raises(UserError) as refused:
        benchmark.read_options(measured, ["5M", "--sede", "2", "--seeds", "two", "--rates", "1e-3", "fast"])
    assert str(refused.value).splitlines() == [
        "--sede: unknown setting 'sede', did you mean 'seeds'?",
        "5M: expected --options",
        "--seeds: expected a whole number, got 'two'",
        "--rates: expected a number, got 'fast'",
    ]


def test_a_section_replaces_its_own_and_leaves_the_others_where_they_are(benchmark, tmp_path):
    results = tmp_path / "RESULTS.md"
    for written in (
        "## data on CPU\n\nfirst\n",
        "## data on 1 x NVIDIA H100\n\na GPU's\n",
        "## overhead on CPU\n\nkept\n",
        "## data on CPU\n\nsecond\n",
    ):
        benchmark.record(written, results)
    assert results.read_text() == (
        benchmark.TITLE + "\n## data on CPU\n\nsecond\n\n## data on 1 x NVIDIA H100\n\na GPU's\n"
        "\n## overhead on CPU\n\nkept\n"
    )


def test_a_section_holds_tables_pictures_remarks_and_the_command(benchmark):
    findings = benchmark.Findings(
        [benchmark.Table([{"who": "ours", "loss": 4.5}, {"who": "theirs", "seeds": 3}], "the losses")],
        [(benchmark.FOLDER / "speedrun-cpu.png", "Curves")],
        ["One corpus only."],
    )
    written = benchmark.section("speedrun", "What it measures.", findings, "python scripts/benchmark.py speedrun")
    device = benchmark.device_name()
    assert written.startswith(
        f"## speedrun on {device}\n\nWhat it measures.\n\nThe losses:\n\n```\nwho     loss  seeds\n"
    )
    assert (
        "\n\n![Curves](speedrun-cpu.png)\n\n- One corpus only.\n\n`python scripts/benchmark.py speedrun`, 20"
        in written
    )
    assert f"CPU cores {available_cores()}" in written


def test_a_section_made_of_rows_says_when_and_on_what_they_were_made(benchmark):
    old, new = {"CPU": "A", "torch": "2.12.0"}, {"CPU": "A", "torch": "2.13.0", "peft": "0.21"}
    origin = benchmark.made_on(["2026-03-01", "2025-12-31", "2026-02-01"], [old, new, old])
    assert origin == "2025-12-31 to 2026-03-01; CPU A, torch 2.12.0 or 2.13.0, peft 0.21"
    written = benchmark.section("speedrun", "What it measures.", benchmark.Findings([], origin=origin), "python x")
    assert written.endswith(f"\n\n`python x`, {origin}.\n")
    assert benchmark.made_on(["2026-03-01", "2026-03-01"], [old]) == "2026-03-01; CPU A, torch 2.12.0"


@pytest.mark.parametrize(
    ("machine", "name"),
    [
        ({"CPU": "AMD EPYC", "CPU cores": "1", "accelerator": "none"}, "AMD EPYC, 1 core"),
        ({"CPU": "AMD EPYC", "CPU cores": "2", "accelerator": "none"}, "AMD EPYC, 2 cores"),
        ({"CPU": "AMD EPYC", "CPU cores": "2", "accelerator": "1 x NVIDIA H100 (80 GiB)"}, "1 x NVIDIA H100"),
    ],
    ids=["a core", "cores", "accelerator"],
)
def test_a_device_is_the_accelerator_or_the_processor_with_its_cores(benchmark, monkeypatch, machine, name):
    measure = importlib.import_module("benchmarks.training_runs.measure")
    monkeypatch.setattr(measure, "environment", lambda: machine)
    assert measure.device_name() == name


def test_the_list_names_every_benchmark_with_its_first_line(benchmark, capsys):
    benchmark.main(["--help"])
    said = capsys.readouterr().out
    for path in (ROOT / "scripts" / "benchmarks").glob("[!_]*.py"):
        name = path.stem.replace("_", "-")
        assert f"\n{name} " in said
        assert path.read_text().partition("\n")[0].strip('"') in said


def test_help_of_one_lists_its_options_with_their_defaults(benchmark, capsys):
    benchmark.main(["speedrun", "--help"])
    said = capsys.readouterr().out
    assert "\n  --rates [0.001 0.002 0.004 0.008 0.016]\n      Learning rates of the sweeps.\n" in said
    words = " ".join(said.split())
    assert "files, folders and globs, each of them a corpus. The default is the one that everybody has;" in words
    assert max(map(len, said.splitlines())) <= 120


def test_help_does_not_wait_for_torch():
    code = "import sys, benchmark; benchmark.main([sys.argv[1], '--help']); print('torch' in sys.modules)"
    for path in (ROOT / "scripts" / "benchmarks").glob("[!_]*.py"):
        command = [sys.executable, "-c", code, path.stem]
        done = subprocess.run(command, cwd=ROOT / "scripts", capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "False", path


def test_a_condition_has_a_section_and_a_picture_of_its_own(benchmark, tmp_path):
    results = tmp_path / "RESULTS.md"
    plain, compiled = benchmark.Findings([]), benchmark.Findings([], condition="compiled")
    for findings in (plain, compiled, compiled):
        benchmark.record(benchmark.section("speedrun", "What it measures.", findings, "python x"), results)
    headings = [line for line in results.read_text().splitlines() if line.startswith("## ")]
    device = benchmark.device_name()
    assert headings == [f"## speedrun on {device}", f"## speedrun on {device}, compiled"]
    picture_path = importlib.import_module("benchmarks.training_runs.pictures").picture_path
    assert picture_path("speedrun", "compiled").name == picture_path("speedrun").stem + "-compiled.png"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["speedrum"], "unknown benchmark 'speedrum', did you mean 'speedrun'?"),
        (["speedrun", "--sizes", "7M"], "size must be one of 1M, 5M or HIDDENxLAYERS such as 256x5, got '7M'"),
        (["speedrun", "--corpora", "nowhere.txt"], "nowhere.txt: no such file"),
        (["speedrun", "--seeds", "0"], "--seeds must be at least 1, got 0"),
        (["lr-sensitivity", "--adamw_rate", "0"], "learning_rate must be above 0 and at most 10"),
        (["lr-sensitivity", "--updates", "0"], "--updates must be at least 1, got 0"),
        (["large-batch", "--factors", "0"], "--factors must be at least 1, got 0"),
        (["large-batch", "--updates", "10"], "--updates must be at least 32, got 10"),
        (
            ["large-batch", "--updates", "100", "--factors", "1", "8"],
            "multiple of every factor, got 100, which is not",
        ),
        (["optimizers", "--num_rounds", "0"], "--num_rounds must be at least 1, got 0"),
        (["optimizers", "--hidden_size", "12"], "--hidden_size must be a multiple of 8, got 12"),
        (["overhead", "--num_pairs", "0"], "--num_pairs must be at least 1, got 0"),
        (["data", "--repetitions", "0"], "--repetitions must be at least 1, got 0"),
    ],
    ids=lambda given: "" if isinstance(given, str) else " ".join(given),
)
def test_a_mistake_is_one_line_before_anything_runs(words, complaint):
    done = subprocess.run(
        [sys.executable, "scripts/benchmark.py", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert complaint in line
