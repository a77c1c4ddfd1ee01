"""A disk that takes no more, in the middle of a run: it goes on, and what was saved before stays whole."""

import resource
import shutil
from pathlib import Path

from hf_strategies.checkpoints.choice import checkpoints_in
from hf_strategies.checkpoints.manifest import damages

from .outcomes import Outcome, is_finished, weights_digest
from .processes import Runs, command

LARGEST_FILE = 60_000  # bytes: logs fit, weights do not
UPDATES = 60


def drill(runs: Runs, corpus: Path, reference: Path, output: Path, *, for_good: bool) -> Outcome:
    """Limit the size of the files that a run may write once its first checkpoint is there.

    Args:
        runs: Starts processes.
        corpus: Its text.
        reference: Folder of the same run, undisturbed.
        output: Where it runs; removed when it came through.
        for_good: Whether the limit stays until the training is over, or goes after the first save that failed.
    """
    fault = f"no file above {LARGEST_FILE:,} bytes, {'until the end' if for_good else 'for a while'}"
    run = runs.start(command(corpus, output, max_steps=UPDATES))
    if not run.wait_until(lambda: bool(checkpoints_in(output))):
        return Outcome(fault, "it wrote no checkpoint at all")
    pid, unlimited = run.process.pid, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    assert pid is not None
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (LARGEST_FILE, resource.RLIM_INFINITY))
    if not run.wait_until(lambda: "WARNING   no checkpoint" in run.said):
        return Outcome(fault, "it did not say that a save had failed")
    saved = checkpoints_in(output)
    if not saved or any(damages(checkpoint) for checkpoint in saved):
        return Outcome(fault, "an earlier checkpoint is damaged")
    if for_good:
        run.wait_until(lambda: f'"step": {UPDATES}' in (output / "events.jsonl").read_text(encoding="utf-8"))
    resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)
    if run.wait():
        return Outcome(fault, f"exit code {run.wait()}: {run.said.strip()[-200:]}")
    if not is_finished(output) or weights_digest(output) != weights_digest(reference):
        return Outcome(fault, "it did not end as it would have")
    shutil.rmtree(output)
    return Outcome(fault)
