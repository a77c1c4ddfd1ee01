"""Ten ways in which the newest checkpoint may be damaged: each must be seen, and the one before it taken."""

import shutil
from collections.abc import Callable
from pathlib import Path

from hf_strategies.checkpoints.choice import CORRUPT, checkpoints_in, step_of

from .outcomes import Outcome, difference, resumed_at
from .processes import Runs, command


def _flip(path: Path) -> None:
    """Change one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _cut(path: Path) -> None:
    """Cut a file in half."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


DAMAGES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "weights missing": ("model.safetensors", Path.unlink),
    "weights truncated": ("model.safetensors", _cut),
    "bit flipped in the weights": ("model.safetensors", _flip),
    "optimizer missing": ("optimizer.pt", Path.unlink),
    "bit flipped in the optimizer": ("optimizer.pt", _flip),
    "scheduler missing": ("scheduler.pt", Path.unlink),
    "random state empty": ("rng_state.pth", _empty),
    "trainer state truncated": ("trainer_state.json", _cut),
    "manifest missing": ("manifest.json", Path.unlink),
    "manifest truncated": ("manifest.json", _cut),
}


def drill(runs: Runs, corpus: Path, reference: Path, output: Path, *, damage: str) -> Outcome:
    """Damage the newest checkpoint of an unfinished run, and go on.

    Args:
        runs: Starts processes.
        corpus: The run's text.
        reference: Folder of the same run, undisturbed.
        output: Where it runs; removed when it came through.
        damage: A key of `DAMAGES`.
    """
    shutil.copytree(reference, output)
    (output / "all_results.json").unlink()
    newest, before = checkpoints_in(output)[:2]
    name, harm = DAMAGES[damage]
    harm(newest / name)
    run = runs.finish(command(corpus, output))
    if run.wait():
        return Outcome(damage, f"the run ended with exit code {run.wait()}")
    if not newest.with_name(newest.name + CORRUPT).is_dir():
        return Outcome(damage, "it was not seen")
    if resumed_at(run.said) != step_of(before):
        return Outcome(damage, f"it went on at step {resumed_at(run.said)} instead of {before.name}")
    problem = difference(output, reference)
    if not problem:
        shutil.rmtree(output)
    return Outcome(damage, problem)
