"""SIGKILL at any moment: the run is started again with the same command, and must end as if nothing had happened."""

import random
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

from hf_strategies.checkpoints.publishing import DRAFTS

from .outcomes import Outcome, difference, is_finished, resumed_at, steps_logged
from .processes import TINY, Runs, command


def drill(
    runs: Runs, corpus: Path, reference: Path, output: Path, *, seed: int, during_save: bool, seconds: float
) -> Outcome:
    """Kill a run once, start it again, and compare it with one that was left alone.

    Args:
        runs: Starts processes.
        corpus: Its text.
        reference: Folder of the same run, undisturbed.
        output: Where it runs; removed when it came through.
        seed: Decides the moment.
        during_save: Whether to wait for a checkpoint to be written, and to kill while it is.
        seconds: How long the undisturbed run takes.
    """
    draw = random.Random(seed)
    argv = command(corpus, output)
    run = runs.start(argv)
    if during_save:
        number = draw.randint(1, TINY["max_steps"] // TINY["save_steps"])
        saves = _Saves(output)
        run.wait_until(lambda: saves.begun() >= number)
        time.sleep(draw.uniform(0.0, 0.03))
    else:
        time.sleep(draw.uniform(0.0, seconds))
    done = steps_logged(output)
    run.signal(signal.SIGKILL)
    run.wait()
    fault = f"SIGKILL {'during a save' if during_save else 'at a random moment'}, at step {done}"
    was_finished = is_finished(output)
    again = runs.finish(argv)
    if again.wait():
        return Outcome(fault, f"the second start ended with exit code {again.wait()}")
    lost = done - resumed_at(again.said)
    if lost > TINY["save_steps"] and not was_finished:
        return Outcome(fault, f"{lost} updates were lost, more than one interval of {TINY['save_steps']}")
    problem = difference(output, reference)
    if not problem:
        shutil.rmtree(output)
    return Outcome(fault, problem)


class _Saves:
    """Counts the checkpoints that a run has begun to write, by looking at its folder."""

    def __init__(self, output: Path) -> None:
        self._drafts = output / DRAFTS
        self._seen: set[str] = set()

    def begun(self) -> int:
        with suppress(OSError):  # there is no draft now
            self._seen |= {path.name for path in self._drafts.iterdir()}
        return len(self._seen)
