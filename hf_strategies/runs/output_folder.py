"""Which folder a run writes to, and whether what is in it may be continued."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from hf_strategies.arguments import Arguments
from hf_strategies.arguments.resolved import FILE_NAME, differences, read_resolved
from hf_strategies.checkpoints.choice import newest_whole
from hf_strategies.checkpoints.manifest import damages, read_manifest
from hf_strategies.checkpoints.publishing import clear_drafts
from hf_strategies.checkpoints.trust import refuse_untrusted
from hf_strategies.errors import UserError

RUNS = Path("runs")
RESULTS = "all_results.json"
EVENTS = "events.jsonl"
TRACES = (RESULTS, "model.safetensors", "model.safetensors.index.json", "trainer_state.json", "config.json")


@dataclass(frozen=True)
class OutputFolder:
    """Where a run writes, and from where it goes on.

    Args:
        path: The folder; it exists.
        checkpoint: Checkpoint to resume from, or None.
        results: What the same run, already finished here, ended with; None when there is work to do.
        notes: What its user should know: checkpoints that were set aside, settings that were changed.
    """

    path: Path
    checkpoint: str | None = None
    results: dict[str, float] | None = None
    notes: list[str] = field(default_factory=list)

    def give_back(self) -> None:
        """Remove what a refused run has left, which is nothing but its settings and the start of its events."""
        left = {item.name for item in self.path.iterdir()}
        if left <= {FILE_NAME, EVENTS}:
            for name in left:
                (self.path / name).unlink()
            self.path.rmdir()


def open_output_folder(arguments: Arguments) -> OutputFolder:
    """Choose and create the output folder; call it on one process and tell the others.

    No `output_dir`: `runs/<name>-<n>` with the next free n. A folder that holds this same run is resumed, or, when
    finished, reported; one that holds another run is refused.

    Raises:
        UserError: The folder holds another run, cannot be written, or the checkpoint asked for is not there, is
            damaged, or is not to be trusted.
        NoCheckpointError: The folder's checkpoints are all damaged.
    """
    resume = arguments.training.get("resume_from_checkpoint", "auto") or "none"
    named = resume if resume not in ("auto", "none") else None
    if named is not None:
        check_named(Path(named))
    if arguments.training.get("output_dir") is None:
        return OutputFolder(create_next(arguments.name), checkpoint=named)
    path = Path(arguments.training["output_dir"]).expanduser()
    create_folder(path)

    traces = [name for name in TRACES if (path / name).exists()] + [item.name for item in path.glob("checkpoint-*")]
    if not traces:  # settings alone are those of a run that never came to a checkpoint
        return OutputFolder(path, checkpoint=named)
    earlier = read_resolved(path)
    if earlier is None:
        raise UserError(f"output_dir {path} holds another run ({traces[0]}); choose another folder")
    changed = differences(earlier, arguments)
    refused = [said for name, said in changed.items() if name not in (arguments.run.allow_change or ())]
    if refused:
        raise UserError(
            f"output_dir {path} holds another run, which differs in\n" + "\n".join(refused) + "\n"
            "choose another folder, or go on with what is changed by --allow_change NAME"
        )
    if resume == "none":
        raise UserError(f"output_dir {path} holds this run already; resume_from_checkpoint none needs a new folder")
    results = read_results(path)
    if results is not None and named is not None:
        raise UserError(f"output_dir {path} holds this run, finished; resuming it from {named} needs a new folder")
    notes = [f"changed since the checkpoint: {said}" for said in changed.values()]
    if results is None and named is None:
        clear_drafts(path)
        newest = newest_whole(path, warn=notes.append)
        named = str(newest) if newest else None
    return OutputFolder(path, checkpoint=named, results=results, notes=notes)


def check_named(checkpoint: Path) -> None:
    """See that a checkpoint that was asked for by name is one, whole and harmless; a plain Trainer's proves nothing.

    Raises:
        UserError: It is not.
    """
    if not (checkpoint / "trainer_state.json").is_file():
        raise UserError(f"resume_from_checkpoint: {checkpoint} is not a checkpoint (no trainer_state.json in it)")
    refuse_untrusted(checkpoint)
    found = damages(checkpoint) if read_manifest(checkpoint) is not None else []
    if found:
        raise UserError("\n".join(f"resume_from_checkpoint: {said}" for said in found))


def write_results(results: dict[str, float], folder: Path) -> None:
    """Write `all_results.json`, the last file of a run: a folder that has it is finished."""
    written = folder / f".{RESULTS}.tmp"
    written.write_text(json.dumps(results, indent=4, sort_keys=True), encoding="utf-8")
    written.replace(folder / RESULTS)


def read_results(folder: Path) -> dict[str, float] | None:
    """Read the results of a finished run; None where there are none, or only a damaged file."""
    try:
        return json.loads((folder / RESULTS).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError):
        return None


def create_next(name: str) -> Path:
    """Create the first `runs/<name>-<n>` that does not exist; two runs that start together get two folders.

    Raises:
        UserError: It cannot be created.
    """
    number = 1
    while True:
        path = RUNS / f"{name}-{number}"
        try:
            path.mkdir(parents=True)
            return path
        except FileExistsError:
            number += 1
        except OSError as error:
            raise UserError(f"output_dir {path} cannot be created: {error.strerror}") from error


def create_folder(path: Path) -> None:
    """Create a folder where it is missing, and make sure that it can be written.

    Raises:
        UserError: It cannot.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(f"output_dir {path} cannot be written: {error.strerror}") from error
