import hashlib
import json

import pytest

from hf_strategies.checkpoints.manifest import FILE_NAME, damages, mark_health, read_manifest, write_manifest
from hf_strategies.errors import UserError


@pytest.fixture
def checkpoint(tmp_path):
    (tmp_path / "global_step3").mkdir()
    (tmp_path / "weights").write_bytes(bytes(range(256)) * 5000)  # more than is read at once
    (tmp_path / "global_step3" / "rank_0").write_text("state")
    (tmp_path / "empty").touch()
    write_manifest(tmp_path, {"step": 3})
    return tmp_path


def test_a_manifest_says_what_the_folder_holds(checkpoint):
    stored = json.loads((checkpoint / FILE_NAME).read_text())
    assert stored["step"] == 3
    assert list(stored["files"]) == ["empty", "global_step3/rank_0", "weights"]
    content = (checkpoint / "weights").read_bytes()
    assert stored["files"]["weights"] == {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    assert damages(checkpoint) == []


def test_every_damage_is_found_and_named(checkpoint):
    weights = checkpoint / "weights"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1])
    assert damages(checkpoint) == [f"{weights}: 1,279,999 bytes, expected 1,280,000"]
    weights.write_bytes(whole[:70_000] + bytes([whole[70_000] ^ 1]) + whole[70_001:])
    assert damages(checkpoint) == [f"{weights}: its content has changed since it was saved"]
    weights.unlink()
    (checkpoint / "global_step3" / "rank_0").write_text("")
    assert damages(checkpoint) == [f"{checkpoint}/global_step3/rank_0: 0 bytes, expected 5", f"{weights}: missing"]


SIZE = '{"format": 1, "files": {"a": {"size": 1e999, "sha256": ""}}}'


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"format": 1}', '{"format": 1, "files": {"a": 3}}', "\0", "\udcff", SIZE, "[" * 100_000],
    ids=lambda text: ascii(text[:12]),
)
def test_a_manifest_that_cannot_be_read_is_a_damage(checkpoint, text):
    (checkpoint / FILE_NAME).write_text(text, encoding="utf-8", errors="surrogateescape")
    (said,) = damages(checkpoint)
    assert said.startswith(f"{checkpoint / FILE_NAME}: damaged")


def test_no_manifest_and_a_newer_one_are_said(checkpoint):
    (checkpoint / FILE_NAME).write_text('{"format": 2, "files": {}}')
    with pytest.raises(UserError, match="of format 2, expected at most 1: update hf_strategies"):
        read_manifest(checkpoint)
    (checkpoint / FILE_NAME).unlink()
    assert damages(checkpoint) == [f"{checkpoint}: has no manifest.json"]
    assert read_manifest(checkpoint) is None


def test_what_was_added_later_does_no_harm(checkpoint):
    (checkpoint / "note.txt").write_text("mine")
    assert damages(checkpoint) == []


def test_a_file_that_cannot_be_read_proves_nothing(checkpoint):
    (checkpoint / "weights").unlink()
    (checkpoint / "weights").symlink_to("weights")  # in a circle
    with pytest.raises(UserError, match=r"weights: cannot be read \(Too many levels of symbolic links\)"):
        damages(checkpoint)


def test_health_is_written_into_the_manifest_and_nothing_else_changes(checkpoint):
    before = read_manifest(checkpoint)
    mark_health(checkpoint, healthy=False)
    assert read_manifest(checkpoint) == {**before, "healthy": False}
    assert damages(checkpoint) == []


def test_a_mark_that_the_disk_does_not_take_leaves_the_manifest_as_it_was(checkpoint, no_file_above):
    before = sorted(path.name for path in checkpoint.iterdir())
    with no_file_above(10), pytest.raises(OSError, match="File too large"):
        mark_health(checkpoint, healthy=True)
    assert "healthy" not in read_manifest(checkpoint)
    assert sorted(path.name for path in checkpoint.iterdir()) == before
