"""From a draft to a checkpoint: nothing under its final name is ever incomplete."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hf_strategies.checkpoints.choice import checkpoints_in, stored
from hf_strategies.checkpoints.manifest import sync_folder, write_manifest
from hf_strategies.checkpoints.rotation import to_remove

DRAFTS = ".saving"  # the folder of drafts in a run's folder; what a killed save leaves lies there
REPLACED = ".replaced"  # an earlier checkpoint of the same step, for the moment in which two exist
REMOVED = ".removed"  # one that is about to go: a removal that is interrupted leaves no half of a checkpoint


def clear_drafts(run: Path) -> None:
    """Remove what saves and removals that were killed have left in a run's folder."""
    for leftover in [run / DRAFTS, *run.glob(f".checkpoint-*{REMOVED}")]:
        shutil.rmtree(leftover, ignore_errors=True)
    for leftover in run.glob(f"checkpoint-*{REPLACED}"):
        original = leftover.with_name(leftover.name.removesuffix(REPLACED))
        if original.exists():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.rename(original)  # killed between two renames


def publish(draft: Path, final: Path, facts: Mapping[str, Any]) -> None:
    """Make a draft durable and whole, and give it its final name in one move.

    Its manifest is made of what is read back, once: a second reading would find the same pages in memory.

    Args:
        draft: What was written, complete but for its manifest.
        final: Its name from now on; an earlier checkpoint there is replaced.
        facts: As of `write_manifest`.

    Raises:
        OSError: The disk failed; `final` is as it was.
    """
    write_manifest(draft, facts)
    replaced = final.with_name(final.name + REPLACED)
    if final.exists():
        final.rename(replaced)
    try:
        draft.rename(final)
    except OSError:
        if replaced.exists():
            replaced.rename(final)
        raise
    sync_folder(final.parent)
    shutil.rmtree(replaced, ignore_errors=True)


def rotate(run: Path, *, limit: int | None, newest: int, best: int | None) -> None:
    """Remove the checkpoints that `to_remove` chooses from a run's folder.

    Args:
        run: The run's folder.
        limit: How many to keep; None keeps all.
        newest: Step of the one that has just been published.
        best: Step of the one with the best metric.

    Raises:
        OSError: One cannot be removed.
    """
    if limit is None:
        return
    for item in to_remove(map(stored, checkpoints_in(run)), limit=limit, newest=newest, best=best):
        doomed = item.path.with_name(f".{item.path.name}{REMOVED}")
        item.path.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)
