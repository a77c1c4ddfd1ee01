import json
import os
from types import SimpleNamespace

import pytest

from hf_strategies.distributed.deepspeed_settings import asked_deepspeed
from hf_strategies.distributed.parallel_sizes import ParallelSizes, asked_parallel_sizes, data_replicas
from hf_strategies.errors import UserError


@pytest.fixture
def launch(monkeypatch, tmp_path):
    """Sets what a launcher would; without a call, there is none."""
    for name in list(os.environ):
        if name == "WORLD_SIZE" or name.startswith(("ACCELERATE_", "PARALLELISM_CONFIG_")):
            monkeypatch.delenv(name)

    def launch(processes: int, settings: object = None, **sizes: int) -> None:
        monkeypatch.setenv("WORLD_SIZE", str(processes))
        if settings is not None:
            path = tmp_path / "engine.json"
            path.write_text(settings if isinstance(settings, str) else json.dumps(settings))
            monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
            monkeypatch.setenv("ACCELERATE_DEEPSPEED_CONFIG_FILE", str(path))
        if sizes:
            monkeypatch.setenv("ACCELERATE_USE_PARALLELISM_CONFIG", "true")
        for name, size in sizes.items():
            monkeypatch.setenv(f"PARALLELISM_CONFIG_{name}_SIZE", str(size))

    return launch


def test_without_a_launcher_there_is_one_replica(launch):
    assert asked_parallel_sizes() == ParallelSizes(1)
    assert asked_parallel_sizes().data == 1


def test_processes_that_split_nothing_are_replicas(launch):
    launch(8, {"zero_optimization": {"stage": 3}})
    assert asked_parallel_sizes().data == 8


def test_stages_come_from_the_file_of_the_launcher_or_from_the_one_that_is_given(launch):
    launch(8, {"pipeline": {"stages": 4}})
    assert asked_parallel_sizes() == ParallelSizes(8, pipeline=4)
    assert asked_parallel_sizes().data == 2
    assert asked_parallel_sizes({"pipeline": {"stages": 2}}).data == 4
    assert asked_parallel_sizes({}).data == 8


def test_replicas_are_counted_among_the_processes_that_there_are(launch):
    launch(8, {"pipeline": {"stages": 4}})
    assert data_replicas(SimpleNamespace(deepspeed=None, world_size=4)) == 1
    assert data_replicas(SimpleNamespace(deepspeed={"pipeline": {"stages": 2}}, world_size=4)) == 2


def test_a_file_that_the_launcher_does_not_use_asks_for_nothing(launch, monkeypatch):
    launch(8, {"pipeline": {"stages": 4}})
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "false")
    assert asked_deepspeed() is None
    assert asked_parallel_sizes().data == 8


def test_sizes_of_accelerate_count_where_they_are_used(launch, monkeypatch):
    launch(16, TP=2, CP=4, DP_SHARD=2)
    assert asked_parallel_sizes() == ParallelSizes(16, tensor=2, context=4)
    assert asked_parallel_sizes().data == 2
    monkeypatch.setenv("ACCELERATE_USE_PARALLELISM_CONFIG", "false")
    assert asked_parallel_sizes().data == 16


def test_deepspeeds_own_splits_of_tensors_and_sequences_count(launch):
    launch(8, {"tensor_parallel": {"autotp_size": 2}}, SP=2)
    assert asked_parallel_sizes() == ParallelSizes(8, tensor=2, context=2)


def test_processes_that_do_not_divide_are_refused_with_a_number_that_does(launch):
    launch(6, {"pipeline": {"stages": 2}}, TP=2)
    with pytest.raises(
        UserError, match=r"^6 processes do not divide into replicas of 4 \(pipeline 2 x tensor 2\): start 8"
    ):
        asked_parallel_sizes()


@pytest.mark.parametrize("stages", ["auto", 0, -2, 1.5, None])
def test_a_size_that_is_none_is_refused(launch, stages):
    with pytest.raises(UserError, match=r"^DeepSpeed's pipeline\.stages must be a whole number of at least 1, got"):
        asked_parallel_sizes({"pipeline": {"stages": stages}})


def test_the_flag_wins_over_the_launchers_file(launch, tmp_path):
    launch(2, {"zero_optimization": {"stage": 1}})
    assert asked_deepspeed() == {"zero_optimization": {"stage": 1}}
    other = tmp_path / "other.json"
    other.write_text('{"zero_optimization": {"stage": 3}}')
    assert asked_deepspeed(str(other)) == {"zero_optimization": {"stage": 3}}
    assert asked_deepspeed({"train_batch_size": 2}) == {"train_batch_size": 2}


def test_the_launchers_own_flags_are_settings_too(launch, monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    monkeypatch.setenv("ACCELERATE_DEEPSPEED_ZERO_STAGE", "3")
    assert asked_deepspeed() == {"zero_optimization": {"stage": 3}}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [("{'stage': 1}", "is no JSON: "), ("[1]", "must hold a JSON object, got list"), (None, "cannot be read")],
)
def test_a_file_that_says_nothing_is_one_line(launch, tmp_path, content, complaint):
    path = tmp_path / "broken.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=complaint) as caught:
        asked_deepspeed(str(path))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
