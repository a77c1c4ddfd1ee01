"""Signals at any moment, to one rank or to all: a checkpoint at the next update, exit code 143, an exact resume."""

import random
import shutil
import signal
import socket
import time
from pathlib import Path

from .outcomes import Outcome, difference, is_finished, resumed_at, steps_logged
from .processes import Runs, command

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
STOPPED = 143
MAX_SECONDS = 30.0  # a run that takes longer to end hangs


def drill(
    runs: Runs, corpus: Path, reference: Path, output: Path, *, seed: int, ranks: int, seconds: float
) -> Outcome:
    """Signal a run once, start it again, and compare it with one that was left alone.

    Args:
        runs: Starts processes.
        corpus: Its text.
        reference: Folder of the same run with as many ranks, undisturbed.
        output: Where it runs; removed when it came through.
        seed: Decides the signal, the moment, and who gets it.
        ranks: Processes of the run.
        seconds: How long the undisturbed run takes.
    """
    draw = random.Random(seed)
    number, alone = draw.choice(SIGNALS), draw.random() < 0.5
    argv = command(corpus, output, ranks=ranks)
    members = start_ranks(runs, argv, ranks)
    members[0].wait_until(lambda: steps_logged(output) >= 1)  # its handlers are there once it trains
    time.sleep(draw.uniform(0.0, seconds))
    done = steps_logged(output)
    targets = [draw.choice(members)] if alone else members
    for member in targets:
        member.signal(number)
    fault = f"{number.name} to {len(targets)} of {ranks} ranks, at step {done}"
    codes = [member.wait(MAX_SECONDS) for member in members]
    if None in codes:
        for member in members:
            member.signal(signal.SIGKILL)
        return Outcome(fault, "it hangs")
    if not is_finished(output):
        if not set(codes) <= {STOPPED, -number}:  # the bare signal ends a process that is not training any more
            return Outcome(fault, f"exit codes {codes}: {members[0].said.strip()[-200:]}")
        again = start_ranks(runs, argv, ranks)
        if any(codes := [member.wait() for member in again]):
            return Outcome(fault, f"the second start ended with exit codes {codes}")
        lost = done - resumed_at(again[0].said)
        if lost > 1:
            return Outcome(fault, f"{lost} updates were lost")
    problem = difference(output, reference)
    if not problem:
        shutil.rmtree(output)
    return Outcome(fault, problem)


def start_ranks(runs: Runs, argv: list[str], ranks: int) -> list:
    """Start all processes of a run, as a launcher would."""
    if ranks == 1:
        return [runs.start(argv)]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"WORLD_SIZE": str(ranks), "LOCAL_WORLD_SIZE": str(ranks)}
    shared |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "ACCELERATE_USE_CPU": "true"}
    return [runs.start(argv, {**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}) for rank in range(ranks)]
