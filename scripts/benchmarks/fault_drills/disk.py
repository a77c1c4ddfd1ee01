"""A disk that takes no more, in the middle of a run: it goes on, and what was saved before stays whole."""

import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from hf_strategies.checkpoints.choice import checkpoints_in
from hf_strategies.checkpoints.manifest import damages

from .outcomes import Outcome, is_finished, weights_digest
from .processes import Run, Runs, command

LARGEST_FILE = 60_000  # bytes: logs fit, weights do not
DISK = "4m"
UPDATES = 60
FAILED, UNFINISHED = "WARNING   no checkpoint", "WARNING   the finished model could not be saved"


def drill_limit(runs: Runs, corpus: Path, reference: Path, output: Path, *, for_good: bool) -> Outcome:
    """Limit the size of the files that a run may write once its first checkpoint is there.

    Args:
        runs: Starts processes.
        corpus: Its text.
        reference: Folder of the same run, undisturbed.
        output: Where it runs; removed when it came through.
        for_good: Whether the limit stays until nothing is left but to save what was trained, or goes after the first
            save that failed.
    """
    fault = f"no file above {LARGEST_FILE:,} bytes, {_when(for_good)}"
    run = runs.start(command(corpus, output, max_steps=UPDATES))
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)

    def limit(limits: tuple[int, int]) -> None:
        assert run.process.pid is not None
        resource.prlimit(run.process.pid, resource.RLIMIT_FSIZE, limits)

    fill = (lambda: limit((LARGEST_FILE, resource.RLIM_INFINITY)), lambda: limit(unlimited))
    return Outcome(fault, _run_out_of_space(run, output, reference, *fill, for_good=for_good))


def drill_full(runs: Runs, corpus: Path, reference: Path, output: Path, *, for_good: bool) -> Outcome:
    """Fill the disk of a run once its first checkpoint is there: not even a line fits in its log any more.

    Needs the right to mount one; the arguments are those of `drill_limit`.
    """
    fault = f"a full disk, {_when(for_good)}"
    with _disk(output) as disk:
        run = runs.start(command(corpus, disk / "out", max_steps=UPDATES))
        filler = disk / "filler"
        problem = _run_out_of_space(
            run, disk / "out", reference, lambda: _fill(filler), filler.unlink, for_good=for_good
        )
    return Outcome(fault, problem)


def can_mount() -> bool:
    """Tell whether this process may mount a disk."""
    try:
        with TemporaryDirectory() as folder, _disk(Path(folder)):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


def _run_out_of_space(
    run: Run, output: Path, reference: Path, fill: Callable[[], object], clear: Callable[[], object], *, for_good: bool
) -> str:
    """Say how a run did not come through; nothing where it did."""
    if not run.wait_until(lambda: bool(checkpoints_in(output))):
        return "it wrote no checkpoint at all"
    fill()
    if not run.wait_until(lambda: FAILED in run.said):
        return f"it did not say that a save had failed: {run.said.strip()[-200:]}"
    saved = checkpoints_in(output)
    if not saved or any(damages(checkpoint) for checkpoint in saved):
        return "an earlier checkpoint is damaged"
    if for_good and not run.wait_until(lambda: UNFINISHED in run.said):
        return f"it did not wait with what was trained: {run.said.strip()[-200:]}"
    clear()
    if run.wait():
        return f"exit code {run.wait()}: {run.said.strip()[-200:]}"
    if not is_finished(output) or weights_digest(output) != weights_digest(reference):
        return "it did not end as it would have"
    shutil.rmtree(output)
    return ""


def _when(for_good: bool) -> str:
    return "until the end" if for_good else "for a while"


def _fill(path: Path) -> None:
    """Write until nothing more fits."""
    with path.open("wb", buffering=0) as file:
        size = 1 << 16
        while size:
            try:
                file.write(bytes(size))
            except OSError:
                size //= 2


@contextmanager
def _disk(folder: Path) -> Iterator[Path]:
    """Mount a small disk, in memory, for a while."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)]
    subprocess.run(mount, check=True, capture_output=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)
