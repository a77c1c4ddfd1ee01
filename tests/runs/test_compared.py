import json

import pytest

from hf_strategies.errors import UserError
from hf_strategies.reports import EventLog
from hf_strategies.runs.compared import read_compared

RESULTS = {
    "eval_accuracy": 0.5, "validation_fingerprint": 77, "trained_parameters": 1000, "train_runtime": 10.0,
    "eval_samples_per_second": 50.0, "peak_memory_bytes": 2**30,
}  # fmt: skip


@pytest.fixture
def finished(tmp_path):
    def write(name: str, settings: str = "", **results) -> str:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "all_results.json").write_text(json.dumps({**RESULTS, **results}))
        (folder / "resolved_config.yaml").write_text(f"recipe: lora\nmodel_name_or_path: gpt\n{settings}\n")
        return str(folder)

    return write


def read(*folders: str):
    return read_compared(folders, metric="accuracy", fingerprint=77, model="gpt")


def test_runs_that_differ_by_their_seeds_are_one_contender(finished):
    one = finished("a", "adapter: lora\nseed: 1", peak_memory_bytes=5)
    other = finished("b", "adapter: lora\nseed: 2", eval_accuracy=0.7, train_runtime=30.0, eval_samples_per_second=30)
    full = finished("c", "seed: 1")
    (lora, alone), notes = read(one, other, full, one)
    assert notes == []
    assert (lora.method, lora.scores, lora.training_seconds) == ("adapter, lora: a", [0.5, 0.7], 20.0)
    assert (lora.row_seconds, lora.peak_memory) == (1 / 40, 2**30)  # of 50 and 30 rows a second; of the larger
    assert lora.spread == pytest.approx(0.1414, abs=1e-4)  # 0.1 * sqrt(2)
    assert (alone.method, alone.spread) == ("full fine-tuning: c", None)


@pytest.mark.parametrize(
    ("settings", "method"),
    [
        ("adapter: prefix_tuning", "soft prompt, prefix_tuning"),
        ("adapter: lora\nquantization: nf4", "adapter, lora on nf4"),
        ("linear_probe: true", "linear probe"),
        ("freeze: [embed]", "partly frozen"),
        ("shots: ['0']", "prompts"),
        ("architecture: gpt2\nlearning_rate: 1", "full fine-tuning"),
    ],
)
def test_a_run_is_called_by_what_learns(finished, settings, method):
    ((contender,), _) = read(finished("a", settings))
    assert contender.method == f"{method}: a"


def test_what_a_reader_must_know_is_said(finished, tmp_path):
    folder = finished("a", "learning_rate: 1")
    EventLog(tmp_path / "a" / "events.jsonl").append("run", step=0)
    assert read(folder)[1] == []
    EventLog(tmp_path / "a" / "events.jsonl").append("run", step=40)
    assert read(folder)[1] == [f"{folder} was resumed: its training time is that of the last part"]
    _, notes = read_compared([folder], metric="accuracy", fingerprint=77, model="t5")
    assert notes[0] == f"{folder} stands on gpt, not on t5"


def test_every_folder_that_cannot_be_compared_is_named_at_once(finished, tmp_path):
    elsewhere = finished("a", validation_fingerprint=78)
    other_task = finished("b")
    (tmp_path / "b" / "all_results.json").write_text('{"eval_chrf": 1, "validation_fingerprint": 77}')
    with pytest.raises(UserError) as refused:
        read(elsewhere, other_task, str(tmp_path))
    lines = str(refused.value).splitlines()
    assert lines[0].startswith(f"compare: {elsewhere} was validated on other rows; name the same files")
    assert lines[1] == f"compare: {other_task} has no accuracy in its results: it was another task"
    assert lines[2] == f"compare: {tmp_path} holds no finished run of scripts/finetune.py"
