"""The checkpoints of a run's folder, and the one to go on from."""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from hf_strategies.checkpoints.manifest import damages, has_its_files, read_manifest
from hf_strategies.checkpoints.rotation import Stored
from hf_strategies.errors import NoCheckpointError, UserError

NAME = re.compile(r"checkpoint-(\d+)")
GUARD = "guard.json"  # in a checkpoint: what a step guard has seen by then; it will say whether the run went well
CORRUPT = ".corrupt"
ABANDONED = ".abandoned"


def checkpoints_in(folder: Path) -> list[Path]:
    """List a run's checkpoints, the newest first; those that were set aside are not among them."""
    found = [path for path in folder.glob("checkpoint-*") if path.is_dir() and NAME.fullmatch(path.name)]
    return sorted(found, key=step_of, reverse=True)


def step_of(checkpoint: Path) -> int:
    """Read from its name after how many updates a checkpoint stands."""
    found = NAME.fullmatch(checkpoint.name)
    assert found is not None, checkpoint
    return int(found[1])


def newest_whole(folder: Path, *, warn: Callable[[str], None]) -> Path | None:
    """Return the newest checkpoint that verifies, an unhealthy one only where all are; None where there were none.

    One that is proven damaged is renamed, so that nothing takes it for a checkpoint, and is left for whoever wants to
    look at it.

    Args:
        folder: The run's.
        warn: Told of each that is set aside.

    Raises:
        NoCheckpointError: None verifies, though there are some, or were before they were set aside.
        UserError: One is not damaged as far as anybody can say, but cannot be read, or not by this version.
    """
    unhealthy: Path | None = None
    for checkpoint, manifest in _whole(checkpoints_in(folder), warn):
        if _health(manifest) is not False:
            return checkpoint
        unhealthy = unhealthy or checkpoint
    if unhealthy is None and (left := _left_aside(folder)):
        raise NoCheckpointError(
            f"{folder} has no checkpoint to go on from any more, only {left}: name a whole one with "
            "resume_from_checkpoint, or start again in another folder"
        )
    return unhealthy


def newest_proven(folder: Path, steps: range, *, warn: Callable[[str], None]) -> Path | None:
    """Return the newest checkpoint that verifies and that the run went well after; None where there is none.

    Args:
        folder: The run's.
        steps: Those that are asked for.
        warn: Told of each that is set aside.

    Raises:
        UserError: As of `newest_whole`.
    """
    known = (stored(checkpoint) for checkpoint in checkpoints_in(folder))
    proven = [item.path for item in known if item.healthy and item.step in steps]
    return next((checkpoint for checkpoint, _ in _whole(proven, warn)), None)


def set_aside_after(folder: Path, step: int) -> list[Path]:
    """Rename the checkpoints of later steps `*.abandoned`: a run that goes back to `step` leaves them behind.

    They stay whole, and can be resumed from by name; but nothing takes them for the run's newest any more.

    Args:
        folder: The run's.
        step: Of the checkpoint that the run goes on from.

    Returns:
        What they are called now, the newest first.
    """
    later = [checkpoint for checkpoint in checkpoints_in(folder) if step_of(checkpoint) > step]
    return [_set_aside(checkpoint, ABANDONED) for checkpoint in later]


def stored(checkpoint: Path) -> Stored:
    """Describe a checkpoint for its rotation; whether it is whole is judged by the sizes of its files alone."""
    try:
        manifest = read_manifest(checkpoint)
        verified = manifest is not None and has_its_files(checkpoint, manifest)
    except UserError:
        manifest, verified = None, False
    return Stored(checkpoint, step_of(checkpoint), verified=verified, healthy=_health(manifest))


def _whole(checkpoints: list[Path], warn: Callable[[str], None]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Yield those that verify, with their manifests; rename those that are proven damaged."""
    for checkpoint in checkpoints:
        try:
            found = damages(checkpoint)
        except UserError as error:
            raise UserError(f"{error}; or name an earlier checkpoint with resume_from_checkpoint") from error
        if not found:
            yield checkpoint, read_manifest(checkpoint) or {}
            continue
        aside = _set_aside(checkpoint, CORRUPT)
        warn(f"{checkpoint.name} is damaged and was renamed {aside.name}: {'; '.join(found[:3])}")


def _set_aside(checkpoint: Path, suffix: str) -> Path:
    """Rename a checkpoint to `<name><suffix>`, or the next free `<name><suffix>-<n>`."""
    name = checkpoint.name + suffix
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return checkpoint.rename(next(aside for aside in map(checkpoint.with_name, names) if not aside.exists()))


def _left_aside(folder: Path) -> str:
    """Say how many checkpoints of a run were set aside, and as what; nothing where none were."""
    counts = {suffix: len(list(folder.glob(f"checkpoint-*{suffix}*"))) for suffix in (CORRUPT, ABANDONED)}
    return " and ".join(f"{count} *{suffix}" for suffix, count in counts.items() if count)


def _health(manifest: Mapping[str, Any] | None) -> bool | None:
    """Tell whether a run went well after a checkpoint; None where its guard will say, True where it has none."""
    if manifest is None:
        return False
    return manifest.get("healthy", None if GUARD in manifest["files"] else True)
