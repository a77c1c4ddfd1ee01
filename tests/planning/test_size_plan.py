import subprocess
import sys
from pathlib import Path

import pytest

from hf_strategies.errors import UserError
from hf_strategies.planning.quantities import read_bytes, read_count
from hf_strategies.planning.size_plan import describe_size
from hf_strategies.planning.size_request import parse_size
from scripts.plan import main

ROOT = Path(__file__).parents[2]


def plan(line: str) -> str:
    return describe_size(parse_size(line.split()))


def test_a_budget_of_machines_is_their_peak_times_hours_times_utilisation():
    request = parse_size(["--gpus", "2", "--gpu", "A100", "--hours", "10", "--utilisation", "0.5"])
    assert request.flops == pytest.approx(2 * 36_000 * 312e12 * 0.5)
    assert request.source == "2 x A100 (312 TFLOP/s in bfloat16) for 10 hours at 50% of their peak"
    older = parse_size(["--gpus", "1", "--gpu", "T4", "--hours", "1", "--utilisation", "1"])
    assert older.flops == pytest.approx(3600 * 65e12)  # it has no bf16


def test_a_plan_says_what_each_law_makes_of_a_budget():
    said = plan("--flops 1e21")
    assert "budget    1e+21 FLOPs" in said
    assert "2.78 B" in said
    assert "60.0 B" in said
    assert "20 tokens per parameter" in said
    assert "plan      2.78 B parameters on 60.0 B tokens" in said
    assert "AdamW at 0.00067 with batches of 827 k tokens" in said
    assert "an extrapolation" in said
    assert "an extrapolation" not in plan("--flops 1e20")


def test_a_model_is_told_the_tokens_that_it_needs_and_tokens_their_model():
    assert "plan      1.00 B parameters on 22.7 B tokens" in plan("--parameters 1B")
    assert "parameters on 22.7 B tokens" in plan("--tokens 22.7B")


def test_a_plan_of_ones_own_stands_beside_what_its_budget_is_best_spent_on():
    said = plan("--parameters 7B --tokens 2T")
    assert "plan      7.00 B parameters on 2.00 T tokens" in said
    assert "as given" in said
    assert "26.9 B" in said


def test_too_little_text_is_said_with_its_price():
    said = plan("--flops 9.3e21 --data_tokens 25B")
    assert "25.0 B tokens are too few: 7.1 epochs, worth 151 B new tokens; repeating costs 0.035 of loss" in said
    assert "better for the same FLOPs: 6.81 B parameters for 9.1 epochs" in said
    assert "up to 4 epochs are nearly as good as new text" in plan("--tokens 20B --data_tokens 6B")
    assert "so many epochs gain little" in plan("--tokens 20B --data_tokens 500M")
    assert "12.0 B tokens are enough: the plan sees 83% of them" in plan("--tokens 10B --data_tokens 12B")


def test_use_makes_the_model_smaller():
    assert "282 M parameters on 247 B tokens reach the same loss" in plan("--parameters 1B --inference_tokens 2T")


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("--flops 0", "--flops: expected a number above 0"),
        ("--flops -1e20", "--flops: expected a number above 0"),
        ("--flops 1e999", "--flops: expected a number above 0"),
        ("--parameters 1X", "--parameters: expected a number above 0, such as 1e21 or \"7B\", got '1X'"),
        ("", "expected --flops, --gpus, --parameters or --tokens (or these last two together), got nothing"),
        ("--flops 1e20 --tokens 1B", "got --flops and --tokens"),
        ("--gpus 8 --hours 2", "--gpus needs --gpu: which one, such as H100"),
        ("--gpus 8 --gpu A100", "--gpus needs --hours"),
        ("--gpus 0 --gpu A100 --hours 1", "--gpus: expected a number above 0, got 0"),
        ("--gpus 1 --gpu A100 --hours 0", "--hours: expected a number above 0, got 0"),
        ("--gpus 1 --gpu A100 --hours 1 --utilisation 40", "--utilisation: expected a share of the peak in (0, 1]"),
        ("--gpus 1 --gpu A1000 --hours 1", "--gpu: unknown GPU 'A1000', did you mean 'A100'?"),
        ("--flops 1e20 --hours 3", "--hours belongs to --gpus, which is not given"),
        ("mine.yaml --flops 1e20", "mine.yaml: unknown option of plan.py size; it reads no recipe"),
    ],
)
def test_a_mistake_is_one_line(line, complaint, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["size", *line.split()])
    assert ended.value.code == 2
    said = capsys.readouterr()
    (only,) = said.err.splitlines()
    assert complaint in only
    assert said.out == ""


def test_it_takes_no_torch():
    program = (
        "import sys; from scripts.plan import main\n"
        "main(['size', '--flops', '1e20']); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, capture_output=True)


def test_help_lists_every_option(capsys):
    main(["size", "--help"])
    said = capsys.readouterr().out
    assert "python scripts/plan.py size --flops 1e21" in said
    assert "--inference_tokens TEXT" in said


@pytest.mark.parametrize(
    ("text", "count"), [("7B", 7e9), ("1.5T", 1.5e12), ("30M", 3e7), ("1e21", 1e21), ("1_000", 1000), ("2 G", 2e9)]
)
def test_counts_as_people_write_them(text, count):
    assert read_count("--parameters", text) == pytest.approx(count)


def test_memory_as_people_write_it():
    assert read_bytes("--gpu_memory", "80GB") == 80e9
    assert read_bytes("--gpu_memory", "24 GiB") == 24 * 2**30
    with pytest.raises(UserError, match='--gpu_memory: expected an amount of memory above 0, such as "80GB", got'):
        read_bytes("--gpu_memory", "80")
