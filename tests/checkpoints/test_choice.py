import pytest

from hf_strategies.checkpoints.choice import (
    GUARD,
    checkpoints_in,
    newest_proven,
    newest_whole,
    set_aside_after,
    stored,
)
from hf_strategies.checkpoints.manifest import mark_health, write_manifest
from hf_strategies.errors import NoCheckpointError, UserError


@pytest.fixture
def run(tmp_path):
    for step in (5, 10, 100):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "weights").write_text(f"weights {step}")
        write_manifest(folder, {"step": step})
    (tmp_path / "checkpoint-200.corrupt").mkdir()
    (tmp_path / "checkpoint-best").mkdir()
    return tmp_path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_steps_are_ordered_as_numbers_and_other_folders_left_out(run):
    assert [path.name for path in checkpoints_in(run)] == ["checkpoint-100", "checkpoint-10", "checkpoint-5"]


def test_the_newest_whole_one_is_chosen_and_damaged_ones_set_aside(run):
    said = []
    (run / "checkpoint-100" / "weights").write_text("weights 10o")
    (run / "checkpoint-100.corrupt").mkdir()
    assert newest_whole(run, warn=said.append).name == "checkpoint-10"
    assert "checkpoint-100 is damaged and was renamed checkpoint-100.corrupt-2: " in said[0]
    assert "its content has changed" in said[0]
    assert (run / "checkpoint-100.corrupt-2" / "weights").read_text() == "weights 10o"
    assert newest_whole(run, warn=said.append).name == "checkpoint-10"
    assert len(said) == 1


def test_an_unhealthy_one_is_taken_only_where_all_are(run):
    mark_health(run / "checkpoint-100", healthy=False)
    mark_health(run / "checkpoint-10", healthy=True)
    assert newest_whole(run, warn=print).name == "checkpoint-10"
    assert [stored(path).healthy for path in checkpoints_in(run)] == [False, True, True]
    for step in (5, 10):
        mark_health(run / f"checkpoint-{step}", healthy=False)
    assert newest_whole(run, warn=print).name == "checkpoint-100"


def test_a_guarded_one_is_proven_once_it_is_marked_and_any_other_from_the_first(run):
    (run / "checkpoint-100" / GUARD).write_text("{}")
    write_manifest(run / "checkpoint-100", {"step": 100})
    assert [stored(path).healthy for path in checkpoints_in(run)] == [None, True, True]
    assert newest_whole(run, warn=print).name == "checkpoint-100"
    assert newest_proven(run, range(200), warn=print).name == "checkpoint-10"
    assert newest_proven(run, range(10), warn=print).name == "checkpoint-5"
    mark_health(run / "checkpoint-100", healthy=True)
    assert newest_proven(run, range(200), warn=print).name == "checkpoint-100"
    for step in (5, 10, 100):
        mark_health(run / f"checkpoint-{step}", healthy=False)
    assert newest_proven(run, range(200), warn=print) is None


def test_a_proven_one_that_is_damaged_is_set_aside(run):
    (run / "checkpoint-100" / "weights").write_text("weights 10o")
    said = []
    assert newest_proven(run, range(200), warn=said.append).name == "checkpoint-10"
    assert "renamed checkpoint-100.corrupt" in said[0]


def test_none_that_is_whole_is_an_error_of_its_own_and_nothing_is_deleted(run):
    for step in (5, 10, 100):
        (run / f"checkpoint-{step}" / "weights").unlink()
    for _ in range(2):  # also when there are only those that were set aside before
        with pytest.raises(NoCheckpointError, match=r"no checkpoint to go on from any more, only 4 \*\.corrupt: name"):
            newest_whole(run, warn=print)
    assert [name for name in names(run) if name.endswith(".corrupt")] == [
        "checkpoint-10.corrupt",
        "checkpoint-100.corrupt",
        "checkpoint-200.corrupt",
        "checkpoint-5.corrupt",
    ]
    assert NoCheckpointError.exit_code == 18


def test_a_folder_without_checkpoints_has_none(tmp_path):
    assert newest_whole(tmp_path, warn=print) is None


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda folder: (folder / "manifest.json").write_text('{"format": 2, "files": {}}'), "of format 2"),
        (lambda folder: replace_by_circle(folder / "weights"), "cannot be read"),
    ],
)
def test_what_nobody_can_judge_stops_instead_of_being_set_aside(run, spoil, complaint):
    spoil(run / "checkpoint-100")
    before = names(run)
    with pytest.raises(UserError, match=f"{complaint}.*; or name an earlier checkpoint with resume_from_checkpoint"):
        newest_whole(run, warn=print)
    assert names(run) == before


def replace_by_circle(path):
    """Leave a link to itself: no user may read that, root neither."""
    path.unlink()
    path.symlink_to(path)


def test_a_run_that_goes_back_leaves_the_later_ones_behind(run):
    assert [path.name for path in set_aside_after(run, 10)] == ["checkpoint-100.abandoned"]
    assert newest_whole(run, warn=print).name == "checkpoint-10"
    assert [path.name for path in set_aside_after(run, 3)] == ["checkpoint-10.abandoned", "checkpoint-5.abandoned"]
    with pytest.raises(NoCheckpointError, match=r"only 1 \*\.corrupt and 3 \*\.abandoned"):  # and not from the start
        newest_whole(run, warn=print)
    assert (run / "checkpoint-100.abandoned" / "weights").read_text() == "weights 100"


def test_a_file_that_is_missing_or_short_is_seen_without_reading(run):
    assert stored(run / "checkpoint-100").verified
    (run / "checkpoint-100" / "weights").write_text("weights")
    (run / "checkpoint-10" / "weights").unlink()
    (run / "checkpoint-5" / "manifest.json").unlink()
    assert [stored(path).verified for path in checkpoints_in(run)] == [False, False, False]
