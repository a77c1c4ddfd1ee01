"""Which folder a run writes to, and whether what is in it may be continued."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from hf_strategies.arguments import Arguments
from hf_strategies.arguments.resolved import FILE_NAME, differences, read_resolved
from hf_strategies.checkpoints.choice import newest_whole, set_aside_after
from hf_strategies.checkpoints.manifest import damages, read_manifest
from hf_strategies.checkpoints.publishing import clear_drafts
from hf_strategies.checkpoints.resumable import check_resumable, read_state
from hf_strategies.checkpoints.trust import refuse_untrusted
from hf_strategies.errors import UserError
from hf_strategies.runs.folder_lock import FILE_NAME as LOCK
from hf_strategies.runs.folder_lock import hold, let_go

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
        changed: Names of the settings that are not the checkpoint's.
        is_new: Whether the folder was made for this run.
    """

    path: Path
    checkpoint: str | None = None
    results: dict[str, float] | None = None
    notes: list[str] = field(default_factory=list)
    changed: tuple[str, ...] = ()
    is_new: bool = False

    def give_back(self) -> None:
        """Remove what a refused run has made: a folder with nothing but its settings and the start of its events."""
        let_go(self.path)
        left = {item.name for item in self.path.iterdir()}
        if self.is_new and left <= {FILE_NAME, EVENTS, LOCK}:
            for name in left:
                (self.path / name).unlink()
            self.path.rmdir()


def open_output_folder(arguments: Arguments) -> OutputFolder:
    """Choose and create the output folder; call it on one process and tell the others.

    No `output_dir`: `runs/<name>-<n>` with the next free n; a launcher that starts a failed job again
    (`--max_restarts`) goes on in its newest. A folder that holds this same run is resumed, or, when
    finished, reported; one that holds another run is refused. Until the process ends nobody else can run in it.

    Raises:
        UserError: The folder holds another run, cannot be written, or somebody runs in it; the checkpoint asked for is
            not there, is damaged, not to be trusted, or of other settings.
        NoCheckpointError: The folder's checkpoints are all damaged.
    """
    resume = arguments.training.get("resume_from_checkpoint", "auto") or "none"
    named = Path(resume) if resume not in ("auto", "none") else None
    if named is not None:
        check_named(named, trust_remote_code=arguments.model.trust_remote_code)
    given = arguments.training.get("output_dir")
    known = newest_of_restart(arguments.name) if given is None else Path(given).expanduser()
    is_new = known is None or not known.exists()
    path = known or create_next(arguments.name)
    create_folder(path)
    hold(path)
    try:
        return _open(path, named, arguments, is_new=is_new, starts_over=resume == "none")
    except UserError:
        OutputFolder(path, is_new=is_new).give_back()
        raise


def _open(path: Path, named: Path | None, arguments: Arguments, *, is_new: bool, starts_over: bool) -> OutputFolder:
    notes: list[str] = []
    changed: dict[str, str] = {}
    if holds_a_run(path):
        changed = _changes_since(path, arguments)
        if starts_over:
            raise UserError(f"output_dir {path} holds this run already; resume_from_checkpoint none needs a new one")
        results = read_results(path)
        if results is not None and (named is not None or changed):
            asked = f"resuming it from {named}" if named is not None else f"another {', '.join(changed)}"
            raise UserError(f"output_dir {path} holds this run, finished; {asked} needs a new folder")
        if results is not None:
            return OutputFolder(path, results=results)
        clear_drafts(path)
        if named is None:
            named = newest_whole(path, warn=notes.append)
            if named is not None:
                refuse_untrusted(named, trust_remote_code=arguments.model.trust_remote_code)
    if named is not None:
        changed |= _changes_of(named, arguments)
        left = set_aside_after(path, read_state(named)["global_step"])
        notes += [f"{aside.name} lies behind {named}, from which the run goes on" for aside in left]
    notes += [f"changed since the checkpoint: {said}" for said in changed.values()]
    return OutputFolder(
        path, None if named is None else str(named), notes=notes, changed=tuple(changed), is_new=is_new
    )


def holds_a_run(path: Path) -> bool:
    """Tell whether a folder holds more of a run than its settings, which are those of one that never came further.

    Raises:
        UserError: It does, and nobody knows whose.
    """
    traces = [name for name in TRACES if (path / name).exists()]
    traces += [item.name for item in path.glob("checkpoint-*")]
    if traces and read_resolved(path) is None:
        raise UserError(f"output_dir {path} holds another run ({traces[0]}); choose another folder")
    return bool(traces)


def _changes_since(path: Path, arguments: Arguments) -> dict[str, str]:
    """Say in which settings a run differs from the one in its folder, where its user allows it to."""
    changed = differences(read_resolved(path) or {}, arguments)
    _check_changes(changed, arguments, f"output_dir {path} holds another run, which differs in", "another folder")
    return changed


def _changes_of(checkpoint: Path, arguments: Arguments) -> dict[str, str]:
    """Say in which settings a run differs from the one that wrote a checkpoint, where its user allows it to."""
    earlier = (read_manifest(checkpoint) or {}).get("settings")
    changed = {} if earlier is None else differences(earlier, arguments)
    _check_changes(changed, arguments, f"{checkpoint} is of a run that differs in", "another checkpoint")
    return changed


def _check_changes(changed: dict[str, str], arguments: Arguments, what: str, other: str) -> None:
    """Refuse changes that nobody allowed.

    Raises:
        UserError: One line for each of them.
    """
    refused = [said for name, said in changed.items() if name not in (arguments.run.allow_change or ())]
    if refused:
        raise UserError(
            "\n".join([what, *refused, f"choose {other}, or go on with what is changed by --allow_change NAME"])
        )


def check_named(checkpoint: Path, *, setting: str = "resume_from_checkpoint", trust_remote_code: bool) -> None:
    """See that a checkpoint that was asked for by name is one, whole and harmless; a plain Trainer's proves nothing.

    Args:
        checkpoint: What was asked for.
        setting: By which setting.
        trust_remote_code: As of `refuse_untrusted`.

    Raises:
        UserError: It is not.
    """
    try:
        check_resumable(checkpoint)
        refuse_untrusted(checkpoint, trust_remote_code=trust_remote_code)
        found = damages(checkpoint) if read_manifest(checkpoint) is not None else []
    except UserError as error:
        raise UserError("\n".join(f"{setting}: {line}" for line in str(error).splitlines())) from error
    if found:
        raise UserError("\n".join(f"{setting}: {said}" for said in found))


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


def newest_of_restart(name: str) -> Path | None:
    """Return the newest `runs/<name>-<n>`, where a launcher has started this job again."""
    if os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0":
        return None
    numbered = [(number, path) for path in RUNS.glob(f"{name}-*") if (number := path.name[len(name) + 1 :]).isdigit()]
    return max(numbered, key=lambda found: int(found[0]))[1] if numbered else None


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
