"""A pipeline that a signal stops, and one that loses a stage: real launches."""

import importlib.util
import os
import signal

import pytest

from tests.configs.watching import wait_for, workers

LONG = ["--max_steps", "100000", "--save_strategy", "no", "--bf16", "false"]


@pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("deepspeed", "ninja")),
    reason="needs deepspeed and ninja: pip install 'hf_strategies[deepspeed]'",
)
def test_stages_stop_together_with_a_checkpoint_go_on_from_it_and_end_with_a_line_when_one_is_lost(launch, tmp_path):
    out = tmp_path / "out"
    stopped = launch("pipeline", "pretrain", *LONG, "--output_dir", str(out))
    wait_for(lambda: "3/100000" in stopped.said(), stopped)
    os.kill(workers(stopped)[1].pid, signal.SIGTERM)
    said = stopped.wait(120)
    (checkpoint,) = out.glob("checkpoint-*")
    step = checkpoint.name.partition("-")[2]
    assert f"stopped: SIGTERM after update {step} of 100000; {checkpoint} is saved" in said
    assert stopped.process.returncode != 0
    assert not (out / "all_results.json").exists()

    resumed = launch("pipeline", "pretrain", *LONG, "--output_dir", str(out))
    wait_for(lambda: f"{int(step) + 3}/100000" in resumed.said(), resumed)
    assert f"resuming from {checkpoint}" in resumed.said()
    survivor, victim = workers(resumed)
    victim.kill()
    said = resumed.wait(60)
    assert resumed.process.returncode != 0
    assert not survivor.is_running()
    (told,) = [line for line in said.splitlines() if line.startswith("error: ")]
    assert told.startswith("error: another process of this job has ended or cannot be reached")
    assert said.count("Traceback") == 1  # the launcher's own
