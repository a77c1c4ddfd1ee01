"""From a draft to a checkpoint: nothing under its final name is ever incomplete."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from hf_strategies.checkpoints.choice import checkpoints_in, stored
from hf_strategies.checkpoints.manifest import sync_folder, write_manifest
from hf_strategies.checkpoints.rotation import to_remove

DRAFTS = ".saving"  # the folder of drafts in a run's folder; what a killed save leaves lies there
REPLACED = ".replaced"  # an earlier checkpoint of the same step, for the moment in which two exist


def is_write_error(error: BaseException) -> bool:
    """Tell whether a save failed at writing (no space, a limit on the size of files, a disk that went away).

    torch and safetensors have no class of error for it: their words are all there is.
    """
    if isinstance(error, OSError | SafetensorError):
        return True
    return isinstance(error, RuntimeError) and any(
        said in str(error) for said in ("PytorchStreamWriter", "unexpected pos", "No space left")
    )


def clear_drafts(run: Path) -> None:
    """Remove what saves that were killed have left in a run's folder."""
    shutil.rmtree(run / DRAFTS, ignore_errors=True)
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
    draft.rename(final)
    sync_folder(final.parent)
    shutil.rmtree(replaced, ignore_errors=True)


def rotate(run: Path, *, limit: int | None, best: Path | None) -> None:
    """Remove the checkpoints that `to_remove` chooses from a run's folder.

    Args:
        run: The run's folder; the newest checkpoint in it has just been published.
        limit: How many to keep; None keeps all.
        best: The one with the best metric.
    """
    for item in to_remove(map(stored, checkpoints_in(run)), limit=limit, best=best):
        doomed = item.path.with_name(f".{item.path.name}.removed")  # a removal that is interrupted leaves no half
        item.path.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)
