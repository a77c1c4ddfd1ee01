import os

import pytest

from hf_strategies.distributed.machine import ALONE, DDP, DEEPSPEED, FSDP, Machine, asked_machine, check_machine
from hf_strategies.distributed.parallel_sizes import ParallelSizes
from hf_strategies.errors import UserError

TWO = ParallelSizes(2)


@pytest.fixture(autouse=True)
def nothing_asked(monkeypatch):
    for name in list(os.environ):
        if name in ("WORLD_SIZE", "RANK", "MASTER_ADDR") or name.startswith(("ACCELERATE_", "PARALLELISM_CONFIG_")):
            monkeypatch.delenv(name)


def test_what_is_asked_for_is_read_from_the_launcher_and_from_deepspeeds_settings(monkeypatch):
    assert asked_machine(None) == Machine(ALONE, ParallelSizes(1))
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert asked_machine(None) == Machine(DDP, TWO)
    assert asked_machine({"zero_optimization": {"stage": 2}}) == Machine(DEEPSPEED, TWO, 2)
    assert asked_machine({}) == Machine(DEEPSPEED, TWO, 0)
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    assert asked_machine(None) == Machine(FSDP, TWO)


@pytest.mark.parametrize(
    ("machine", "shown"),
    [
        (Machine(ALONE, ParallelSizes(1)), "one process"),
        (Machine(DDP, TWO), "DDP, 2 processes"),
        (Machine(DEEPSPEED, TWO, 3), "DeepSpeed ZeRO-3, 2 processes"),
        (Machine(DEEPSPEED, ParallelSizes(8, pipeline=4), 1), "DeepSpeed ZeRO-1, 8 processes = pipeline 4 x data 2"),
        (Machine(FSDP, ParallelSizes(2, context=2)), "FSDP, 2 processes = context 2 x data 1"),
    ],
)
def test_a_machine_is_shown_in_a_few_words(machine, shown):
    assert str(machine) == shown


@pytest.mark.parametrize(
    ("asked", "running", "complaint"),
    [
        (
            Machine(DEEPSPEED, TWO, 2),
            Machine(DDP, TWO),
            "^asked for DeepSpeed ZeRO-2, 2 processes, but DDP, 2 ",
        ),
        (Machine(FSDP, TWO), Machine(DDP, TWO), "it needs GPUs"),
        (Machine(DDP, TWO), Machine(ALONE, ParallelSizes(1)), "distributed_type MULTI_GPU, which is DDP on a CPU"),
        (Machine(DDP, ParallelSizes(4)), Machine(DDP, TWO), "do not agree"),
        (
            Machine(DEEPSPEED, TWO, 2),
            Machine(DEEPSPEED, TWO, 3),
            "but DeepSpeed ZeRO-3, 2 processes runs: leave",
        ),
        (Machine(FSDP, ParallelSizes(2, tensor=2)), Machine(FSDP, TWO), "FSDP, 2 processes = tensor 2 x data 1, but"),
    ],
)
def test_another_machine_than_was_asked_for_is_refused_in_one_line(asked, running, complaint):
    check_machine(asked, asked)
    with pytest.raises(UserError, match=complaint) as caught:
        check_machine(asked, running)
    assert "\n" not in str(caught.value)


def test_a_launcher_that_starts_one_process_of_several_is_told_from_its_variables(monkeypatch):
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    assert asked_machine(None).engine == ALONE  # a user's own variable, and no launcher
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    with pytest.raises(UserError, match=r"several processes were asked for .* has started one.* MULTI_CPU"):
        asked_machine(None)
    monkeypatch.setenv("RANK", "0")
    assert asked_machine(None).engine == ALONE
