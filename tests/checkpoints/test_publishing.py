import json
import tempfile
from pathlib import Path

import pytest

from hf_strategies.checkpoints.manifest import damages
from hf_strategies.checkpoints.publishing import DRAFTS, clear_drafts, publish, rotate


def write(folder, text):
    folder.mkdir(parents=True)
    (folder / "weights").write_text(text)
    return folder


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_killed_saves_and_removals_left_is_cleared_and_nothing_else(tmp_path):
    write(tmp_path / DRAFTS / "checkpoint-30", "half")
    write(tmp_path / ".checkpoint-10.removed", "half")
    write(tmp_path / "checkpoint-20", "new")
    write(tmp_path / "checkpoint-20.replaced", "old")  # killed after both renames
    write(tmp_path / "checkpoint-25.replaced", "whole")  # killed between them
    write(tmp_path / "checkpoint-15.corrupt", "damaged")
    clear_drafts(tmp_path)
    assert names(tmp_path) == ["checkpoint-15.corrupt", "checkpoint-20", "checkpoint-25"]
    assert (tmp_path / "checkpoint-20" / "weights").read_text() == "new"
    assert (tmp_path / "checkpoint-25" / "weights").read_text() == "whole"


def test_a_draft_takes_the_place_of_an_earlier_checkpoint_with_a_manifest(tmp_path):
    final = write(tmp_path / "checkpoint-5", "old")
    publish(write(tmp_path / DRAFTS / "checkpoint-5", "new"), final, {"step": 5})
    assert (final / "weights").read_text() == "new"
    assert damages(final) == []
    assert json.loads((final / "manifest.json").read_text())["step"] == 5
    assert names(tmp_path) == [DRAFTS, "checkpoint-5"]


def test_an_earlier_checkpoint_keeps_its_name_where_the_new_one_cannot_have_it(tmp_path):
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second file system: a rename cannot cross into another")
    final = write(tmp_path / "checkpoint-5", "old")
    with tempfile.TemporaryDirectory(dir=memory) as elsewhere, pytest.raises(OSError, match="cross-device"):
        publish(write(Path(elsewhere, "checkpoint-5"), "new"), final, {"step": 5})
    assert (final / "weights").read_text() == "old"
    assert names(tmp_path) == ["checkpoint-5"]


def test_rotation_keeps_what_its_limit_says(tmp_path):
    for step in (1, 2, 3):
        publish(write(tmp_path / DRAFTS / f"checkpoint-{step}", "x"), tmp_path / f"checkpoint-{step}", {"step": step})
    (tmp_path / DRAFTS).rmdir()
    rotate(tmp_path, limit=None, newest=3, best=None)
    assert names(tmp_path) == ["checkpoint-1", "checkpoint-2", "checkpoint-3"]
    rotate(tmp_path, limit=2, newest=3, best=None)
    assert names(tmp_path) == ["checkpoint-2", "checkpoint-3"]
