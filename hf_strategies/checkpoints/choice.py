"""The checkpoints of a run's folder, and the one to go on from."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from hf_strategies.checkpoints.manifest import damages, read_manifest
from hf_strategies.checkpoints.rotation import Stored
from hf_strategies.errors import NoCheckpointError, UserError

NAME = re.compile(r"checkpoint-(\d+)")
CORRUPT = ".corrupt"


def checkpoints_in(folder: Path) -> list[Path]:
    """List a run's checkpoints, the newest first; what was set aside as damaged is not among them."""
    found = [path for path in folder.glob("checkpoint-*") if path.is_dir() and NAME.fullmatch(path.name)]
    return sorted(found, key=step_of, reverse=True)


def step_of(checkpoint: Path) -> int:
    """Read from its name after how many updates a checkpoint stands."""
    found = NAME.fullmatch(checkpoint.name)
    assert found is not None, checkpoint
    return int(found[1])


def newest_whole(folder: Path, *, warn: Callable[[str], None]) -> Path | None:
    """Return the newest checkpoint that verifies, an unhealthy one only where all are; None where there are none.

    A damaged one is renamed, so that nothing takes it for a checkpoint, and is left for whoever wants to look at it.

    Args:
        folder: The run's.
        warn: Told of each that is set aside.

    Raises:
        NoCheckpointError: There were some, and none verifies.
    """
    unhealthy: Path | None = None
    checkpoints = checkpoints_in(folder)
    for checkpoint in checkpoints:
        found = damages(checkpoint)
        if found:
            aside = set_aside(checkpoint)
            warn(f"{checkpoint.name} is damaged and was renamed {aside.name}: {'; '.join(found[:3])}")
        elif health(checkpoint) is not False:
            return checkpoint
        else:
            unhealthy = unhealthy or checkpoint
    if checkpoints and unhealthy is None:
        raise NoCheckpointError(
            f"none of the {len(checkpoints)} checkpoints in {folder} is whole; each was renamed *{CORRUPT}: resume "
            "from a copy with resume_from_checkpoint, or start again in another folder"
        )
    return unhealthy


def set_aside(checkpoint: Path) -> Path:
    """Rename a damaged checkpoint to `<name>.corrupt`, or the next free `<name>.corrupt-<n>`."""
    for name in _free_names(checkpoint.name + CORRUPT):
        aside = checkpoint.with_name(name)
        if not aside.exists():
            return checkpoint.rename(aside)
    raise AssertionError


def stored(checkpoint: Path) -> Stored:
    """Describe a checkpoint for its rotation; whether it is whole is judged by its manifest alone, without reading."""
    try:
        manifest = read_manifest(checkpoint)
    except UserError:
        manifest = None
    healthy = manifest is not None and manifest.get("healthy") is not False
    return Stored(checkpoint, step_of(checkpoint), verified=manifest is not None, healthy=healthy)


def health(checkpoint: Path) -> bool | None:
    """Tell whether the run went well after a checkpoint; None where nobody could say yet."""
    return (read_manifest(checkpoint) or {}).get("healthy")


def _free_names(name: str) -> Iterator[str]:
    yield name
    number = 2
    while True:
        yield f"{name}-{number}"
        number += 1
