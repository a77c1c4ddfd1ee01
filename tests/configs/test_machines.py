"""Every machine and every engine, read by the libraries that they are written for."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.parallelism_config import ParallelismConfig
from accelerate.utils import DeepSpeedPlugin, FullyShardedDataParallelPlugin
from accelerate.utils.launch import prepare_deepspeed_cmd_env, prepare_multi_gpu_env, prepare_simple_launcher_cmd_env
from torch.distributed.fsdp import CPUOffloadPolicy
from transformers import TrainingArguments
from transformers.integrations.deepspeed import HfTrainerDeepSpeedConfig, unset_hf_deepspeed_config

from hf_strategies.distributed.deepspeed_settings import asked_deepspeed
from hf_strategies.distributed.parallel_sizes import asked_parallel_sizes
from tests.configs.machine_classes import LAUNCHED, ON_ONE_GPU, PARSED

ROOT = Path(__file__).parents[2]
MACHINES = {path.stem: path for path in sorted((ROOT / "accelerate_configs").glob("*.yaml"))}
ENGINES = {path.stem: path for path in sorted((ROOT / "ds_configs").glob("*.json"))}
PRECISIONS = ("bf16", "fp16")
SPLITS = {"pipeline": {"pipeline": 2}, "pipeline_bf16": {"pipeline": 2}} | {
    f"{kind}_parallel": {kind: 2} for kind in ("tensor", "context")
}


def fixed_precision(name: str) -> str | None:
    return name.rpartition("_")[2] if name.endswith(PRECISIONS) else None


def launched(name: str, *flags: str):
    """What `accelerate launch` makes of a file and its own flags."""
    words = ["--config_file", str(MACHINES[name]), *flags, "script.py"]
    args, config, fixes_precision = _validate_launch_command(launch_command_parser().parse_args(words))
    fields = [*config.deepspeed_config, *(["mixed_precision"] if fixes_precision else [])]
    args.deepspeed_fields_from_accelerate_config = ",".join(fields)  # as the launcher's main function does
    return args


def test_every_machine_stands_in_one_class():
    assert sorted(LAUNCHED + ON_ONE_GPU + PARSED) == sorted(MACHINES)
    assert len(MACHINES) == 22


def test_every_engine_has_its_machine():
    named = {
        name: engine["deepspeed_config_file"]
        for name, path in MACHINES.items()
        if (engine := load_config_from_file(str(path)).deepspeed_config)
    }
    assert named == {name: f"ds_configs/{name}.json" for name in ENGINES}


@pytest.mark.parametrize("name", MACHINES)
def test_a_machine_says_when_to_choose_it_and_what_it_costs(name):
    lines = MACHINES[name].read_text(encoding="utf-8").splitlines()
    assert [line.startswith("# ") for line in lines[:3]] == [True, True, False]
    assert all(line.endswith(".") and 40 < len(line) < 120 for line in lines[:2])


@pytest.mark.parametrize("name", MACHINES)
def test_accelerate_takes_every_key_of_a_machine(name):
    config = load_config_from_file(str(MACHINES[name]))
    assert config.mixed_precision == (None if name in ENGINES else fixed_precision(name))
    assert config.use_cpu is (name == "cpu")  # one file serves CPU and GPU
    known = vars(launch_command_parser().parse_args(["script.py"]))
    flags = {f"{block}.{key}": key for block in ("deepspeed_config", "fsdp_config", "parallelism_config")
             for key in getattr(config, block)}  # fmt: skip
    assert {where: key for where, key in flags.items() if key not in known} == {}  # an unknown one is ignored


@pytest.mark.parametrize("name", MACHINES)
def test_a_machine_starts_what_its_name_says(name, monkeypatch):
    nodes = ["--machine_rank", "1", "--main_process_ip", "10.0.0.1"] if name.startswith("multi_node") else []
    args = launched(name, *nodes)
    if name == "tpu":
        assert (args.tpu, args.num_processes) == (True, 8)
        return
    if args.use_deepspeed:
        pytest.importorskip("deepspeed")
        command, environment = prepare_deepspeed_cmd_env(args)
        assert command is None  # torchrun starts the processes: DeepSpeed's own launchers want ssh
    elif args.multi_gpu or args.use_fsdp:
        environment = prepare_multi_gpu_env(args)
    else:
        _, environment = prepare_simple_launcher_cmd_env(args)
    monkeypatch.chdir(ROOT)
    for key in list(os.environ):
        if key.startswith(("ACCELERATE_", "FSDP_", "PARALLELISM_CONFIG_")):
            monkeypatch.delenv(key)
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setenv("WORLD_SIZE", str(args.num_processes))
    sizes = asked_parallel_sizes()
    assert {kind: getattr(sizes, kind) for kind in SPLITS.get(name, {})} == SPLITS.get(name, {})
    assert sizes.data == args.num_processes // sizes.per_replica
    stage = int(name[-1]) if name[:-1].endswith("zero") else 1 if name.startswith("pipeline") else None
    if args.use_deepspeed:
        zero = DeepSpeedPlugin().hf_ds_config.config["zero_optimization"]  # refuses what belongs in the other file
        assert zero == asked_deepspeed()["zero_optimization"]
        assert zero["stage"] == (stage or int(name.partition("zero")[2][0]))
    if args.use_fsdp:
        plugin = FullyShardedDataParallelPlugin()
        assert (plugin.fsdp_version, plugin.reshard_after_forward) == (2, True)
        assert isinstance(plugin.cpu_offload, CPUOffloadPolicy) is name.endswith("offload")
    if args.use_parallelism_config:
        assert ParallelismConfig().total_size == args.num_processes


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_takes_our_optimizer_and_schedule_and_the_users_clipping_and_batch(name):
    config = json.loads(ENGINES[name].read_text(encoding="utf-8"))
    assert not {"optimizer", "scheduler", "amp"} & config.keys()  # each would silently take the place of ours
    batch = ("gradient_clipping", "gradient_accumulation_steps", "train_batch_size", "train_micro_batch_size_per_gpu")
    assert {config[key] for key in batch} == {"auto"}
    wanted = fixed_precision(name)
    expected = {key: "auto" if wanted is None else key == wanted for key in PRECISIONS}
    assert {key: config[key]["enabled"] for key in PRECISIONS} == expected
    zero = config["zero_optimization"]
    if zero["stage"] == 3:
        assert zero["stage3_gather_16bit_weights_on_model_save"] is True  # else no model is left at the end
    if "offload_optimizer" in zero:
        assert config["zero_force_ds_cpu_optimizer"] is False  # else DeepSpeed's AdamW takes the place of ours
    settings = {*batch, *PRECISIONS, "zero_optimization", "pipeline", "zero_force_ds_cpu_optimizer"}
    assert config.keys() <= settings  # DeepSpeed ignores a top-level name that it does not know


@pytest.mark.parametrize("name", ENGINES)
def test_deepspeed_takes_every_engine_once_the_host_has_filled_it_in(name, tmp_path, tiny_lm):
    deepspeed_config = pytest.importorskip("deepspeed.runtime.config")
    chosen = {fixed_precision(name): True} if fixed_precision(name) else {}
    args = TrainingArguments(
        tmp_path, use_cpu="fp16" not in chosen, max_grad_norm=0.5, per_device_train_batch_size=2,
        gradient_accumulation_steps=3, report_to="none", **chosen,
    )  # fmt: skip
    try:
        filled = HfTrainerDeepSpeedConfig(str(ENGINES[name]))
        filled.trainer_config_process(args)
        filled.trainer_config_finalize(args, tiny_lm, 10)
        read = deepspeed_config.DeepSpeedConfig(filled.config)
    finally:
        unset_hf_deepspeed_config()
    assert (read.gradient_clipping, read.train_micro_batch_size_per_gpu, read.gradient_accumulation_steps) == (
        0.5,
        2,
        3,
    )
    assert (read.bfloat16_config.enabled, read.float16_config.enabled) == (
        fixed_precision(name) == "bf16",
        fixed_precision(name) == "fp16",
    )
    assert read.zero_optimization_stage == filled.config["zero_optimization"]["stage"]
    if read.float16_config.enabled:
        assert read.float16_config.loss_scale == 0  # dynamic


def test_files_of_one_kind_differ_in_what_their_names_say():
    engines = {name: json.loads(path.read_text(encoding="utf-8")) for name, path in ENGINES.items()}
    for name, config in engines.items():
        for precision in PRECISIONS:
            config.pop(precision)
        plain = name.removeprefix("multi_node_").removesuffix("_bf16").removesuffix("_fp16")
        assert config == {key: value for key, value in engines[plain].items() if key not in PRECISIONS}
    machines = {name: yaml.safe_load(path.read_text(encoding="utf-8")) for name, path in MACHINES.items()}
    for name, config in machines.items():
        plain = name.removesuffix("_bf16").removesuffix("_fp16")
        told = dict(machines[plain]) | ({"mixed_precision": fixed_precision(name)} if plain == "ddp" != name else {})
        if name in ENGINES:
            told["deepspeed_config"] = {**told["deepspeed_config"], "deepspeed_config_file": f"ds_configs/{name}.json"}
        assert config == told


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_batch_script_of_slurm_starts_one_launcher_on_each_node(tmp_path):
    """SLURM's own commands are stood in for; what they would run on each node is printed."""
    tools = {
        "scontrol": "printf 'first\\nsecond\\n'",
        "srun": 'shift; for SLURM_NODEID in 0 1; do export SLURM_NODEID; "$@"; done',
        "accelerate": 'printf "%s " "$@"; echo',
    }
    for tool, body in tools.items():
        (tmp_path / tool).write_text(f"#!/bin/bash\n{body}\n")
        (tmp_path / tool).chmod(0o755)
    job = {"SLURM_JOB_NODELIST": "x", "SLURM_NNODES": "2", "SLURM_JOB_ID": "123456", "SLURM_GPUS_ON_NODE": "8"}
    done = subprocess.run(
        ["bash", "accelerate_configs/slurm.sbatch", "scripts/pretrain.py", "--learning_rate", "1e-3"],
        cwd=ROOT, env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", **job},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    common = "launch --config_file accelerate_configs/multi_node_ddp.yaml --num_machines 2 --num_processes 16"
    assert done.stdout.splitlines() == [
        f"{common} --machine_rank {rank} --main_process_ip first --main_process_port 23456 "
        "scripts/pretrain.py --learning_rate 1e-3 "
        for rank in (0, 1)
    ]
