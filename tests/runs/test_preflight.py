import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from transformers import TrainingArguments

from hf_strategies.arguments import parse_arguments
from hf_strategies.errors import UserError
from hf_strategies.runs.preflight import ERROR, OK, WARNING, Run, Verdict, preflight, require

BATCH = {"per_device_train_batch_size": 4}


@pytest.fixture
def found(tiny_lm, tmp_path, monkeypatch):
    """Look at a run of the tiny model; return the verdicts by name."""

    def look(
        *flags: str, optimizer: str = "adamw", samples: float | None = None, launcher=None, **host
    ) -> dict[str, Verdict]:
        arguments = parse_arguments(["--optimizer", optimizer, *flags], description="", default_recipe="pretrain")
        settings = {"max_steps": 100, "save_steps": 50, "report_to": "none", "use_cpu": True, **BATCH, **host}
        args = TrainingArguments(tmp_path, **settings)
        for name, value in (launcher or {}).items():  # after the host has looked for it: it wants its engine at once
            monkeypatch.setenv(name, value)
        run = Run(arguments, args, tiny_lm, block_size=16, samples=samples, folder=tmp_path)
        return {verdict.name: verdict for verdict in preflight(run)}

    return look


def test_a_run_that_is_well_has_one_line(found):
    verdicts = found("--max_steps", "100")
    assert {verdict.state for verdict in verdicts.values()} == {OK}
    assert require(list(verdicts.values())) == ["passed: length, schedule, rhythm, groups, sharding, disk, memory"]
    assert verdicts["length"].said == "100 updates, 400 samples, 6.40 k tokens"
    assert verdicts["schedule"].said == "linear, 5 of 100 updates are warmup"
    assert verdicts["groups"].said == "21 of 21 trained tensors in 4 groups"


def test_what_only_the_data_tell_is_not_guessed(found):
    verdicts = found("--num_train_epochs", "3", max_steps=-1, num_train_epochs=3)
    assert "the data will tell" in verdicts["length"].said
    assert "rhythm" not in verdicts
    told = found("--num_train_epochs", "3", samples=40, max_steps=-1, num_train_epochs=3)
    assert told["length"].said == "30 updates, 120 samples, 1.92 k tokens, about 3 epochs"


def test_warnings_leave_a_run_its_beginning(found):
    late = {"save_steps": 101, "eval_strategy": "steps", "eval_steps": 500}
    verdicts = found("--max_steps", "100", "--warmup_steps", "60", samples=10, **late)
    assert {name for name, verdict in verdicts.items() if verdict.state == WARNING} == {"length", "schedule", "rhythm"}
    assert "about 40 epochs: above 16 another one gains little" in verdicts["length"].said
    assert verdicts["rhythm"].said == (
        "the first evaluation comes after 500 updates, and the run has 100; "
        "the first checkpoint comes after 101 updates, and the run has 100"
    )
    passed, *warnings = require(list(verdicts.values()))
    assert passed == "passed: groups, sharding, disk, memory"
    assert len(warnings) == 3
    assert warnings[1].startswith("warning: schedule: linear, 60 of 100 updates")


def test_a_schedule_longer_than_the_run_is_refused(found):
    verdicts = found("--num_train_epochs", "1", "--warmup_steps", "20", samples=40, max_steps=-1, num_train_epochs=1)
    assert verdicts["schedule"].state == ERROR
    with pytest.raises(UserError, match=r"warmup_steps must be a whole number of updates in \[0, 10\]"):
        require(list(verdicts.values()))


def test_groups_that_do_not_fit_the_model_are_refused_once(found):
    verdicts = found("--param_groups", '{"rules": [{"pattern": "nowhere", "lr": 1e-3}]}')
    assert verdicts["groups"].state == ERROR
    assert "memory" not in verdicts  # whose optimizer has no groups


@pytest.mark.parametrize(
    ("optimizer", "stage", "state"),
    [("adamw", 2, OK), ("muon", 0, OK), ("muon", 1, ERROR), ("lamb", 3, ERROR), ("lion", 3, OK)],
)
def test_zero_cuts_tensors_that_some_optimizers_need_whole(found, tmp_path, optimizer, stage, state):
    file = tmp_path / "zero.json"
    file.write_text(json.dumps({"zero_optimization": {"stage": stage}}))
    launcher = {"ACCELERATE_USE_DEEPSPEED": "true", "ACCELERATE_DEEPSPEED_CONFIG_FILE": str(file)}
    verdict = found(optimizer=optimizer, launcher=launcher)["sharding"]
    assert verdict.state == state
    if state == ERROR:
        wanted = f"{optimizer} needs whole tensors, and ZeRO-{stage} cuts them: take adamw, lion, sgd, or DDP"
        assert verdict.said == wanted


def test_fsdp_takes_what_knows_its_shards(found):
    launcher = {"ACCELERATE_USE_FSDP": "true"}
    assert found(optimizer="muon", launcher=launcher)["sharding"].state == OK
    refused = found(optimizer="adafactor", launcher=launcher)["sharding"]
    assert refused.state == ERROR
    assert "FSDP cuts them: take adamw, lamb, lion, muon, sgd, or DDP" in refused.said


@pytest.mark.parametrize(
    ("stages", "said"),
    [(2, "the model can be cut into 2"), (9, "9 stages need a model of at least as many layers, got 2: lower")],
)
def test_a_model_is_cut_into_stages_before_its_data_are_read(found, tmp_path, monkeypatch, stages, said):
    file = tmp_path / "pipeline.json"
    file.write_text(json.dumps({"zero_optimization": {"stage": 1}, "pipeline": {"stages": stages}}))
    monkeypatch.setattr(TrainingArguments, "world_size", stages)
    launcher = {"ACCELERATE_USE_DEEPSPEED": "true", "ACCELERATE_DEEPSPEED_CONFIG_FILE": str(file)}
    verdict = found(launcher={**launcher, "WORLD_SIZE": str(stages)})["stages"]
    assert verdict.said.startswith(said)
    assert verdict.is_error is (stages == 9)


def test_tensors_that_are_split_are_not_asked_to_fit_on_one_device(found, monkeypatch):
    monkeypatch.setattr("hf_strategies.runs.preflight.available_memory", lambda **_: 1000)
    assert found()["memory"].state == ERROR
    split = {"ACCELERATE_USE_PARALLELISM_CONFIG": "true", "PARALLELISM_CONFIG_TP_SIZE": "2", "WORLD_SIZE": "2"}
    monkeypatch.setattr(TrainingArguments, "world_size", 2)
    verdicts = found(launcher=split)
    assert verdicts["memory"].state == OK
    assert verdicts["sharding"].said == "adamw runs on the shards of tensor parallelism"


def test_checkpoints_of_zero_are_larger(found, tmp_path):
    pytest.importorskip("deepspeed")
    assert found()["disk"].said == "checkpoints of about 0.16 MB"
    file = tmp_path / "zero.json"
    file.write_text(json.dumps({"zero_optimization": {"stage": 2}}))
    launcher = {"ACCELERATE_USE_DEEPSPEED": "true", "ACCELERATE_DEEPSPEED_CONFIG_FILE": str(file)}
    assert found(launcher=launcher)["disk"].said == "checkpoints of about 0.27 MB"  # 20 bytes for 12
    assert found("--bf16", launcher=launcher, bf16=True)["disk"].said == "checkpoints of about 0.22 MB"


def test_a_disk_and_a_memory_that_are_too_small_are_told_together(found, monkeypatch):
    full = SimpleNamespace(free=10)
    monkeypatch.setattr("hf_strategies.checkpoints.space.shutil.disk_usage", lambda _: full)
    monkeypatch.setattr("hf_strategies.runs.preflight.available_memory", lambda **_: 1000)
    verdicts = found()
    with pytest.raises(UserError) as refused:
        require(list(verdicts.values()))
    disk, memory = str(refused.value).splitlines()
    assert "more checkpoints of about" in disk
    assert "gradients and optimizer take" in memory  # the weights are loaded
    assert found(save_strategy="no")["disk"].said == "no checkpoints are saved"


def test_looking_changes_nothing(found, tmp_path):
    found()
    assert list(Path(tmp_path).iterdir()) == []


def test_weights_that_are_not_there_yet_need_memory_too(found, tiny_lm):
    loaded = found()["memory"].said
    assert loaded.startswith("gradients and optimizer take 0.16 MB")  # 12 bytes of each of 13,456 parameters
    tiny_lm.to("meta")
    assert found()["memory"].said.startswith("weights, gradients and optimizer take 0.22 MB")


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"optimizer": "pytorch_optimizer:Adn"}, "did you mean 'A"),
        (
            {"optimizer_kwargs": "weight_decopule=true"},
            "did you mean 'weight_decouple'",
        ),
        ({"optimizer_kwargs": '{"betas": [2, 2, 2]}'}, "pytorch_optimizer:Adan: "),
    ],
)
def test_another_librarys_class_is_tried_before_the_data_are_read(found, settings, complaint):
    pytest.importorskip("pytorch_optimizer")
    optimizer = settings.pop("optimizer", "pytorch_optimizer:Adan")
    verdict = found(*(word for name, value in settings.items() for word in (f"--{name}", value)), optimizer=optimizer)
    assert verdict["groups"].state == ERROR
    assert complaint in verdict["groups"].said


def test_an_optimizer_of_the_hosts_that_cannot_be_had_is_told_before_the_data_are_read(tiny_lm, tmp_path):
    args = TrainingArguments(tmp_path, max_steps=4, report_to="none", use_cpu=True, optim="lomo", **BATCH)
    arguments = parse_arguments(["--optim", "lomo"], description="", default_recipe="pretrain")
    run = Run(arguments, args, tiny_lm, block_size=16, samples=None, folder=tmp_path)
    (verdict,) = [verdict for verdict in preflight(run) if verdict.name == "groups"]
    assert verdict.state == ERROR
    assert verdict.said.startswith("optim lomo: You need to")


def test_lengths_in_epochs_wait_for_the_data(found):
    flags = ["--max_steps", "100", "--scheduler", "step", "--scheduler_kwargs", "step_size=3 epochs"]
    verdict = found(*flags, "--warmup_steps", "1 epoch")["schedule"]
    assert (verdict.state, verdict.said) == (OK, "step, 1 epoch of 100 updates are warmup")
    assert found(*flags, "--warmup_steps", "1 epoch", samples=40)["schedule"].said.startswith("step, 10 of 100")
