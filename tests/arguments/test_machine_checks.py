import json

import pytest

from hf_strategies.arguments import parse_arguments
from hf_strategies.errors import UserError
from hf_strategies.runs.process import settle_machine


def problems(*argv: str, engine: dict | None = None) -> list[str]:
    words = [] if engine is None else ["--deepspeed", json.dumps(engine)]
    try:
        parse_arguments([*argv, *words], description="A test.", default_recipe="pretrain")
    except UserError as error:
        return str(error).splitlines()
    return []


@pytest.mark.parametrize(
    ("flags", "fixed", "problem"),
    [
        (["--fp16"], True, "--fp16: fp16 contradicts the machine: DeepSpeed's file leaves bf16"),
        (["--bf16", "false"], True, "--bf16: not bf16 contradicts the machine: DeepSpeed's file leaves bf16"),
        (["--bf16"], False, "--bf16: bf16 contradicts the machine: DeepSpeed's file leaves float32 or fp16"),
    ],
)
def test_a_precision_that_the_engine_fixes_cannot_be_another(flags, fixed, problem):
    assert problems(*flags, engine={"bf16": {"enabled": fixed}}) == [problem]


def test_a_precision_that_the_launcher_fixes_cannot_be_another(monkeypatch):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "fp16")
    assert problems() == problems("--fp16") == []
    assert problems("--bf16") == ["--bf16: bf16 contradicts the machine: the launcher fixes fp16"]


def test_a_recipes_own_precision_gives_way_to_the_machines(monkeypatch):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    words = ["from_scratch", "--task", "image-classification", "--use_cpu"]
    given = parse_arguments(words, description="", default_recipe="finetune", job="finetune")
    assert given.training["bf16"] is False
    assert settle_machine(given).training["bf16"] is True


def test_a_precision_that_is_left_open_is_the_users(monkeypatch):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    engine = {"bf16": {"enabled": "auto"}, "fp16": {"enabled": "auto"}}
    for flags in (["--bf16"], ["--fp16"], ["--bf16", "false"], []):
        assert problems(*flags) == problems(*flags, engine=engine) == []


def test_documents_cannot_be_isolated_without_masks(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("ACCELERATE_USE_PARALLELISM_CONFIG", "true")
    assert problems("--isolate_documents") == []
    monkeypatch.setenv("PARALLELISM_CONFIG_CP_SIZE", "2")
    assert problems("--isolate_documents", "false") == []
    (problem,) = problems("--isolate_documents")
    assert problem.startswith("--isolate_documents: isolate_documents needs attention masks")


@pytest.mark.parametrize("block", ["optimizer", "scheduler", "amp"])
def test_a_block_that_would_win_in_silence_is_refused(block):
    (problem,) = problems(engine={block: {}})
    assert problem.startswith(f"DeepSpeed's file has a block {block!r}, which would win in silence")


def test_a_machine_that_does_not_fit_is_told_with_the_other_mistakes(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    found = problems("--optimizer", "muno", engine={"pipeline": {"stages": 2}})
    assert len(found) == 2
    assert found[1].startswith("3 processes do not divide into replicas of 2 (pipeline 2)")


@pytest.mark.parametrize("name", ["muon", "lamb"])
@pytest.mark.parametrize("stage", [1, 3])
def test_an_optimizer_of_whole_tensors_is_refused_before_zero_cuts_them(name, stage):
    flags = ["--optimizer", name]
    assert problems(*flags) == problems(*flags, engine={"zero_optimization": {"stage": 0}}) == []
    assert problems(*flags, engine={"zero_optimization": {"stage": stage}}) == [
        f"--optimizer: optimizer {name} needs whole tensors, and ZeRO cuts them into flat shares: use adamw, lion or "
        "schedule_free_adamw, or the machine ddp or fsdp2"
    ]


@pytest.mark.parametrize("name", ["adamw", "lion", "schedule_free_adamw"])
def test_an_optimizer_of_single_elements_trains_zeros_shares(name):
    scheduler = ["--scheduler", "constant"] if name == "schedule_free_adamw" else []
    assert problems("--optimizer", name, *scheduler, engine={"zero_optimization": {"stage": 2}}) == []


def test_the_recipes_optimizer_is_refused_by_its_line():
    (problem,) = problems(engine={"zero_optimization": {"stage": 2}})
    assert problem.startswith("recipe pretrain:")
    assert "optimizer muon needs whole tensors" in problem


def test_a_clipping_that_deepspeed_would_not_hear_of_is_refused():
    flags = ["--optimizer", "adamw", "--max_grad_norm", "0.5"]
    assert problems(*flags) == problems(*flags, engine={"gradient_clipping": "auto"}) == []
    assert problems("--optimizer", "adamw", "--max_grad_norm", "1.0", engine={}) == []
    assert problems(*flags, engine={}) == [
        "--max_grad_norm: DeepSpeed's file has no 'gradient_clipping', and would clip gradients to a norm of 1: "
        'set it to "auto" there'
    ]
