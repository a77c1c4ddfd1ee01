import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from hf_strategies.arguments import parse_arguments
from hf_strategies.arguments.batch import asked_replicas, tokens_per_update
from hf_strategies.arguments.objective_checks import METRICS
from hf_strategies.distributed.precision import automatic_precision
from hf_strategies.errors import UserError
from hf_strategies.runs.process import build_training_arguments, settle_machine

ROOT = Path(__file__).parents[2]


def parse(*argv: str):
    return parse_arguments(argv, description="A test.", default_recipe="pretrain")


PROBE = """
import os
from hf_strategies.distributed.precision import automatic_precision
from hf_strategies.errors import UserError
from hf_strategies.runs.process import available_cores, prepare_cpu

def threads(**environment):
    os.environ.update(environment)
    try:
        return prepare_cpu()
    except UserError as error:
        return error

cores = available_cores()
print(threads() == cores)
print(threads(LOCAL_WORLD_SIZE=str(cores)) == 1)
print(threads(HF_STRATEGIES_THREADS="3") == 3)
print(threads(HF_STRATEGIES_THREADS="many"))
"""


FAULTS = """
import resource
import torch
from hf_strategies.runs.process import keep_freed_memory

def page_faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(4 << 20)  # 16 MiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

keep_freed_memory()
print(*(page_faults() for _ in range(5)))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library has no such setting")
def test_a_tensor_takes_the_pages_that_the_last_one_freed():
    # In a process of its own, as the setting is the whole process's. Pages have 4 KiB, or are huge: 4,096 or 8.
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True, cwd=ROOT)
    first, *others = map(int, done.stdout.split())
    assert min(others) <= first / 4  # not each: a small one may lie in the way


def test_a_process_takes_its_share_of_the_cores_whatever_the_launcher_left_it():
    # In a process of its own: the number of threads belongs to the whole process.
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.stdout.splitlines() == [
        "True",  # alone on the machine, all of them
        "True",  # one process per core, one each
        "True",  # a user's own number wins
        "HF_STRATEGIES_THREADS must be a whole number of at least 1, got 'many'",
    ]


def test_accumulation_follows_from_the_global_batch(tmp_path):
    arguments = parse(
        "--output_dir", str(tmp_path), "--global_batch_size", "2048 tokens", "--per_device_train_batch_size", "2"
    )
    args = build_training_arguments(arguments, max_seq_length=128)
    assert args.gradient_accumulation_steps == 8  # 16 sequences of 128, 2 at a time


def test_stages_of_one_model_share_its_samples(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    engine = tmp_path / "engine.json"
    engine.write_text('{"pipeline": {"stages": 2}}')
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    monkeypatch.setenv("ACCELERATE_DEEPSPEED_CONFIG_FILE", str(engine))
    given = parse("--global_batch_size", "16", "--per_device_train_batch_size", "2")
    assert asked_replicas(given.values) == 2
    assert tokens_per_update(given.values) == 16 * 256
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "false")
    assert asked_replicas(given.values) == 4
    free = parse("--global_batch_size", "null", "--gradient_accumulation_steps", "3")
    assert tokens_per_update(free.values) == 4 * 8 * 3 * 256


def test_what_the_user_sets_wins_over_what_scripts_assume(tmp_path):
    given = parse("--output_dir", str(tmp_path), "--logging_nan_inf_filter", "true", "--bf16", "false")
    args = build_training_arguments(given, max_seq_length=256)
    assert args.logging_nan_inf_filter is True
    assert args.bf16 is False
    assert args.resume_from_checkpoint is None


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_is_better_when_lower(tmp_path, metric):
    arguments = parse("--output_dir", str(tmp_path), "--metric_for_best_model", metric)
    assert build_training_arguments(arguments, max_seq_length=256).greater_is_better is False


@pytest.mark.parametrize("written", ["none", "null"])
def test_reporting_to_nobody_is_the_hosts_own_default(tmp_path, written):
    arguments = parse("--output_dir", str(tmp_path), "--use_cpu", "--report_to", written)
    assert build_training_arguments(arguments, max_seq_length=512).report_to == []


def test_a_file_that_the_host_looks_for_in_vain_is_one_line(tmp_path):
    arguments = parse("--accelerator_config", "[[[[]]]]", "--output_dir", str(tmp_path))
    with pytest.raises(UserError, match=r"^TrainingArguments: .*No such file.*\[\[\[\[\]\]\]\]'$"):
        build_training_arguments(arguments, max_seq_length=64)


def test_what_the_host_refuses_is_one_line(tmp_path):
    arguments = parse("--output_dir", str(tmp_path), "--dataloader_prefetch_factor", "2")
    with pytest.raises(UserError, match=r"^TrainingArguments: .*--dataloader_num_workers > 0") as caught:
        build_training_arguments(arguments, max_seq_length=256)
    assert "\n" not in str(caught.value)


def precision_settled(*argv: str, engine: dict | None = None) -> dict[str, bool]:
    words = [] if engine is None else ["--deepspeed", json.dumps(engine)]
    training = settle_machine(parse(*argv, *words)).training
    return {name: training[name] for name in ("bf16", "fp16") if name in training}


def test_precision_is_settled_only_where_nobody_chose_one(monkeypatch):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")  # what the launcher also sets when nobody chose
    settled = settle_machine(parse("--use_cpu"))
    bf16, reason = automatic_precision(use_cpu=True)
    assert (settled.training["bf16"], settled.values["bf16"].where) == (bf16, reason)
    assert precision_settled("--bf16", "false") == {"bf16": False}
    assert precision_settled("--use_cpu", engine={"bf16": {"enabled": "auto"}}) == {"bf16": bf16}
    assert precision_settled("--use_cpu", engine={"bf16": {"enabled": False}}) == {"bf16": False}


def test_a_precision_that_the_launcher_or_the_engine_fixes_becomes_the_runs(monkeypatch):
    bf16 = {"bf16": True, "fp16": False}
    assert precision_settled("--use_cpu", engine={"bf16": {"enabled": True}}) == bf16
    none = {"bf16": {"enabled": False}, "fp16": {"enabled": False}}
    assert precision_settled("--use_cpu", engine=none) == {"bf16": False, "fp16": False}
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    assert precision_settled("--use_cpu") == bf16
    assert settle_machine(parse("--use_cpu")).values["bf16"].where == "the launcher"


@pytest.mark.parametrize("engine", [None, {"fp16": {"enabled": True}}])
def test_fp16_where_the_device_refuses_it_is_one_line(monkeypatch, engine):
    if engine is not None and torch.ops.mkldnn._is_mkldnn_fp16_supported():
        pytest.skip("this CPU has fp16 instructions")
    with pytest.raises(UserError, match=r"^fp16 cannot be had here: .*--bf16"):
        precision_settled("--use_cpu", *(["--fp16"] if engine is None else []), engine=engine)


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["cosine_with_min_lr"], "One of min_lr or min_lr_rate should be set"),
        (["warmup_stable_decay"], "num_decay_steps"),
        (["cosine", "--lr_scheduler_kwargs", '{"foo": 1}'], "unexpected keyword argument 'foo'"),
        (["warmup_stable_decay", "--max_steps", "-1", "--num_train_epochs", "1"], "num_decay_steps"),
    ],
)
def test_a_schedule_of_the_hosts_is_tried_before_anything_is_read(flags, complaint):
    arguments = settle_machine(parse("--lr_scheduler_type", *flags))
    with pytest.raises(UserError) as caught:
        build_training_arguments(arguments, max_seq_length=256)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"lr_scheduler_type {flags[0]} with lr_scheduler_kwargs ")
    assert complaint in line


def test_a_schedule_of_the_hosts_that_can_be_had_is_taken():
    flags = ["--lr_scheduler_type", "cosine_with_min_lr", "--lr_scheduler_kwargs", '{"min_lr_rate": 0.1}']
    args = build_training_arguments(settle_machine(parse(*flags)), max_seq_length=256)
    assert args.lr_scheduler_kwargs == {"min_lr_rate": 0.1}
