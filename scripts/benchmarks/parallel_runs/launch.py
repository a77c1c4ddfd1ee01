"""Processes with the environment that `accelerate launch` gives to those of a configuration; they start at once."""

import os
import socket
from pathlib import Path

from ..fault_drills.processes import Run, Runs
from ..training_runs.measure import ROOT

MAX_SECONDS = 300.0  # a run of seconds that takes longer hangs
ENGINE_FILE = "ACCELERATE_DEEPSPEED_CONFIG_FILE"


def launcher_environment(config: Path, processes: int) -> dict[str, str]:
    """Ask accelerate for what its launcher sets for a configuration.

    Args:
        config: The YAML file.
        processes: In the place of the number that it names.
    """
    from accelerate.commands import launch

    words = ["--config_file", str(config), "--num_processes", str(processes), "script.py"]
    args, defaults, names_precision = launch._validate_launch_command(launch.launch_command_parser().parse_args(words))
    args.main_process_port = 0  # no port of its own: `start_ranks` looks for one
    if args.use_deepspeed:
        fields = [*defaults.deepspeed_config, *(["mixed_precision"] if names_precision else [])]
        args.deepspeed_fields_from_accelerate_config = ",".join(fields)
        _, found = launch.prepare_deepspeed_cmd_env(args)
    else:
        found = launch.prepare_multi_gpu_env(args)
    if ENGINE_FILE in found:
        found[ENGINE_FILE] = str(ROOT / found[ENGINE_FILE])
    return {name: value for name, value in found.items() if os.environ.get(name) != value}


def start_ranks(runs: Runs, words: list[str], environment: dict[str, str], processes: int, script: str) -> list[Run]:
    """Start all processes of a run on this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"WORLD_SIZE": str(processes), "LOCAL_WORLD_SIZE": str(processes)}
    shared |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), **environment}
    return [
        runs.start(words, {**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}, script) for rank in range(processes)
    ]


def finish(members: list[Run]) -> str:
    """Wait for all processes of a run; return how what one of them said ends, where it failed."""
    codes = [member.wait(MAX_SECONDS) for member in members]
    for member in members:
        member.kill()
    failed = [member for member, code in zip(members, codes, strict=True) if code != 0]
    return f"exit codes {codes}: {failed[0].said.strip()[-2000:]}" if failed else ""
