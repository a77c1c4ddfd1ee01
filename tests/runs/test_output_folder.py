import json
import subprocess
import sys

import pytest

from hf_strategies.arguments import parse_arguments
from hf_strategies.arguments.resolved import identity_settings, write_resolved
from hf_strategies.checkpoints.manifest import write_manifest
from hf_strategies.errors import NoCheckpointError, UserError
from hf_strategies.runs.output_folder import open_output_folder, write_results


def parse(*argv: str):
    return parse_arguments(argv, description="A test.", default_recipe="pretrain")


@pytest.fixture
def in_tmp(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def checkpoint(folder, step: int, **facts):
    path = folder / f"checkpoint-{step}"
    path.mkdir(parents=True)
    (path / "trainer_state.json").write_text(json.dumps({"global_step": step, "max_steps": 200}))
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth"):
        (path / name).write_bytes(b"state")
    write_manifest(path, {"step": step, **facts})
    return path


def test_runs_are_numbered_and_never_share_a_folder(in_tmp):
    assert [str(open_output_folder(parse()).path) for _ in range(3)] == [
        "runs/pretrain-1",
        "runs/pretrain-2",
        "runs/pretrain-3",
    ]


def test_the_same_run_unfinished_goes_on_from_its_newest_checkpoint(tmp_path):
    arguments = parse("--output_dir", str(tmp_path))
    write_resolved(arguments, tmp_path, "A run.")
    checkpoint(tmp_path, 90)
    newest = checkpoint(tmp_path, 100)
    assert open_output_folder(arguments).checkpoint == str(newest)


def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_it_taken(tmp_path):
    arguments = parse("--output_dir", str(tmp_path))
    write_resolved(arguments, tmp_path, "A run.")
    before = checkpoint(tmp_path, 90)
    (checkpoint(tmp_path, 100) / "trainer_state.json").write_text("[]")
    (tmp_path / ".saving" / "checkpoint-110").mkdir(parents=True)
    folder = open_output_folder(arguments)
    assert folder.checkpoint == str(before)
    assert "checkpoint-100 is damaged and was renamed checkpoint-100.corrupt" in folder.notes[0]
    assert not (tmp_path / ".saving").exists()
    (before / "trainer_state.json").unlink()
    with pytest.raises(NoCheckpointError, match="no checkpoint to go on from"):
        open_output_folder(arguments)


def test_a_damaged_checkpoint_that_is_asked_for_is_refused(tmp_path):
    path = checkpoint(tmp_path / "there", 10)
    (path / "optimizer.pt").write_bytes(b"stat")
    with pytest.raises(UserError, match=r"resume_from_checkpoint: .*optimizer\.pt: 4 bytes, expected 5"):
        open_output_folder(parse("--output_dir", str(tmp_path / "out"), "--resume_from_checkpoint", str(path)))
    (path / "manifest.json").unlink()  # a plain Trainer's proves nothing, and is taken at its user's word
    asked = parse("--output_dir", str(tmp_path / "out"), "--resume_from_checkpoint", str(path))
    assert open_output_folder(asked).checkpoint == str(path)


def test_a_setting_may_change_where_its_user_allows_it(tmp_path):
    write_resolved(parse("--learning_rate", "1e-3"), tmp_path, "A run.")
    newest = checkpoint(tmp_path, 10)
    flags = ["--learning_rate", "2e-3", "--output_dir", str(tmp_path), "--allow_change"]
    folder = open_output_folder(parse(*flags, "learning_rate"))
    assert folder.checkpoint == str(newest)
    assert folder.notes == ["changed since the checkpoint: learning_rate: 0.001 there, 0.002 here"]
    with pytest.raises(UserError, match="go on with what is changed by --allow_change NAME"):
        open_output_folder(parse(*flags, "weight_decay"))


def test_the_same_run_finished_is_reported(tmp_path):
    arguments = parse("--output_dir", str(tmp_path))
    write_resolved(arguments, tmp_path, "A run.")
    (tmp_path / "all_results.json").write_text(json.dumps({"eval_loss": 2.5}))
    assert open_output_folder(arguments).results == {"eval_loss": 2.5}


def test_another_run_is_refused_with_what_differs(tmp_path):
    write_resolved(parse("--learning_rate", "1e-3"), tmp_path, "A run.")
    checkpoint(tmp_path, 10)
    with pytest.raises(UserError, match=r"holds another run.*\nlearning_rate: 0.001 there, 0.002 here"):
        open_output_folder(parse("--learning_rate", "2e-3", "--output_dir", str(tmp_path)))


@pytest.mark.parametrize("trace", ["model.safetensors", "checkpoint-10", "all_results.json"])
def test_a_folder_of_somebody_elses_run_is_refused(tmp_path, trace):
    (tmp_path / trace).mkdir()
    with pytest.raises(UserError, match=f"holds another run \\({trace}\\)"):
        open_output_folder(parse("--output_dir", str(tmp_path)))


def test_other_files_are_none_of_its_business(tmp_path):
    (tmp_path / "notes.txt").touch()
    assert open_output_folder(parse("--output_dir", str(tmp_path))).path == tmp_path


def test_a_run_that_is_there_is_not_started_over(tmp_path):
    write_resolved(parse(), tmp_path, "A run.")
    checkpoint(tmp_path, 10)
    with pytest.raises(UserError, match="holds this run already"):
        open_output_folder(parse("--output_dir", str(tmp_path), "--resume_from_checkpoint", "none"))


def test_settings_without_a_checkpoint_hold_nobody_up(tmp_path):
    write_resolved(parse("--learning_rate", "1e-3"), tmp_path, "A run.")
    assert open_output_folder(parse("--output_dir", str(tmp_path))).checkpoint is None


def test_damaged_results_are_no_results(tmp_path):
    arguments = parse("--output_dir", str(tmp_path))
    write_resolved(arguments, tmp_path, "A run.")
    (tmp_path / "all_results.json").write_text("{")
    assert open_output_folder(arguments).results is None


def test_an_evaluation_is_not_taken_for_the_training(tmp_path):
    write_resolved(parse("--do_eval"), tmp_path, "A run.")
    write_results({"eval_loss": 2.5}, tmp_path)
    with pytest.raises(UserError, match="do_eval: True there, None here"):
        open_output_folder(parse("--output_dir", str(tmp_path)))


def test_a_named_checkpoint_does_not_open_another_runs_folder(tmp_path):
    path = checkpoint(tmp_path / "theirs", 5)
    write_resolved(parse("--learning_rate", "1e-3"), tmp_path / "theirs", "A run.")
    arguments = parse("--output_dir", str(tmp_path / "theirs"), "--resume_from_checkpoint", str(path))
    with pytest.raises(UserError, match="holds another run"):
        open_output_folder(arguments)


def test_a_refused_run_gives_its_folder_back_and_nothing_else(tmp_path):
    folder = open_output_folder(parse("--output_dir", str(tmp_path / "new")))
    write_resolved(parse(), folder.path, "A run.")
    folder.give_back()
    assert not folder.path.exists()
    kept = open_output_folder(parse("--output_dir", str(tmp_path / "kept")))
    (kept.path / "notes.txt").touch()
    kept.give_back()
    assert (kept.path / "notes.txt").exists()


def test_a_checkpoint_that_is_named_must_be_one(tmp_path):
    path = checkpoint(tmp_path / "elsewhere", 5)
    arguments = parse("--output_dir", str(tmp_path / "new"), "--resume_from_checkpoint", str(path))
    assert open_output_folder(arguments).checkpoint == str(path)
    with pytest.raises(UserError, match="is not a checkpoint"):
        open_output_folder(parse("--output_dir", str(tmp_path / "b"), "--resume_from_checkpoint", str(tmp_path)))
    assert not (tmp_path / "b").exists()


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        open_output_folder(parse("--output_dir", str(tmp_path / "file" / "runs")))


def test_a_checkpoint_of_other_settings_is_not_taken_for_ones_own(tmp_path):
    theirs = identity_settings(parse("--learning_rate", "1e-3"))
    path = checkpoint(tmp_path / "theirs", 5, settings=theirs)
    named = ["--output_dir", str(tmp_path / "own"), "--resume_from_checkpoint", str(path)]
    assert open_output_folder(parse("--learning_rate", "1e-3", *named)).changed == ()
    with pytest.raises(UserError, match=r"is of a run that differs in\nlearning_rate: 0.001 there, 0.002 here"):
        open_output_folder(parse("--learning_rate", "2e-3", *named))
    changed = open_output_folder(parse("--learning_rate", "2e-3", *named, "--allow_change", "learning_rate"))
    assert changed.changed == ("learning_rate",)
    write_resolved(parse(), tmp_path / "theirs", "A run.")  # the folder says one thing, and its checkpoint another
    with pytest.raises(UserError, match=r"checkpoint-5 is of a run that differs in\nlearning_rate: 0.001 there"):
        open_output_folder(parse("--output_dir", str(tmp_path / "theirs")))


def test_going_back_by_name_leaves_later_checkpoints_behind(tmp_path):
    arguments = parse("--output_dir", str(tmp_path))
    write_resolved(arguments, tmp_path, "A run.")
    early, _ = checkpoint(tmp_path, 4), checkpoint(tmp_path, 8)
    back = open_output_folder(parse("--output_dir", str(tmp_path), "--resume_from_checkpoint", str(early)))
    assert back.checkpoint == str(early)
    assert back.notes == [f"checkpoint-8.abandoned lies behind {early}, from which the run goes on"]
    assert open_output_folder(arguments).checkpoint == str(early)


def test_a_finished_run_is_not_another_one(tmp_path):
    write_resolved(parse("--max_steps", "10"), tmp_path, "A run.")
    write_results({"eval_loss": 2.5}, tmp_path)
    with pytest.raises(UserError, match="holds this run, finished; another max_steps needs a new folder"):
        open_output_folder(parse("--max_steps", "20", "--output_dir", str(tmp_path), "--allow_change", "max_steps"))


def test_a_folder_that_was_there_stays(tmp_path):
    open_output_folder(parse("--output_dir", str(tmp_path))).give_back()
    assert tmp_path.is_dir()


HOLDING = """
import sys
from pathlib import Path
from hf_strategies.runs.folder_lock import hold
hold(Path(sys.argv[1]))
print("holding", flush=True)
sys.stdin.read()
"""


def test_two_processes_do_not_run_in_one_folder(tmp_path):
    command = [sys.executable, "-c", HOLDING, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "holding\n"
        with pytest.raises(UserError, match="another process runs in it"):
            open_output_folder(parse("--output_dir", str(tmp_path)))
    assert open_output_folder(parse("--output_dir", str(tmp_path))).path == tmp_path


def test_a_folder_that_reaches_outside_is_not_resumed(tmp_path):
    arguments = parse("--output_dir", str(tmp_path))
    write_resolved(arguments, tmp_path, "A run.")
    path = checkpoint(tmp_path, 10)
    (path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"x": "../../x.safetensors"}}))
    write_manifest(path, {"step": 10})
    with pytest.raises(UserError, match=r"is not loaded: .*\.\./\.\./x\.safetensors"):
        open_output_folder(arguments)
