import os
import threading
import time

import pytest

from hf_strategies.data.cache import built_once, cache_folder, digest, file_digest
from hf_strategies.errors import UserError


def test_the_folder_follows_the_environment(monkeypatch, tmp_path):
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("HF_STRATEGIES_CACHE")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    assert cache_folder() == tmp_path / "hf" / "hf_strategies"
    monkeypatch.delenv("HF_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "huggingface" / "hf_strategies"


def test_a_digest_knows_where_its_parts_end():
    assert digest(["ab", "c"]) != digest(["a", "bc"])
    assert digest(["ab", "c"]) == digest(iter(["ab", "c"]))


@pytest.mark.parametrize("size", [100, 3 << 20])
def test_a_file_is_known_by_its_content(tmp_path, size):
    one, same, other = (tmp_path / name for name in ("one", "same", "other"))
    one.write_bytes(b"x" * size)
    same.write_bytes(b"x" * size)
    other.write_bytes(b"x" * (size - 1) + b"y")
    assert file_digest(one) == file_digest(one) == file_digest(same) != file_digest(other)


def test_a_changed_file_is_read_again(tmp_path):
    path = tmp_path / "large"
    path.write_bytes(b"x" * (2 << 20))
    before = file_digest(path)
    path.write_bytes(b"y" * (2 << 20))
    os.utime(path, ns=(0, 1))
    assert file_digest(path) != before


def test_an_interrupted_build_leaves_nothing_and_is_done_again():
    def interrupted(folder):
        (folder / "half").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        built_once("kind", "name", interrupted)
    folder, was_there = built_once("kind", "name", lambda made: (made / "whole").write_text("whole"))
    assert not was_there
    assert [path.name for path in folder.iterdir()] == ["whole"]


def test_what_a_killed_process_left_is_swept_away(own_cache):
    partial = own_cache / "kind" / "name.partial"
    partial.mkdir(parents=True)
    (partial / "half").write_text("half")
    folder, _ = built_once("kind", "name", lambda made: (made / "whole").write_text("whole"))
    assert [path.name for path in folder.iterdir()] == ["whole"]


def test_of_many_that_start_together_one_builds():
    builds = []

    def build(folder):
        builds.append(folder)
        time.sleep(0.1)
        (folder / "file").write_text("content")

    threads = [threading.Thread(target=built_once, args=("kind", "name", build)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(builds) == 1


def test_a_cache_that_cannot_be_written_is_the_users_to_move(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("HF_STRATEGIES_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match=r"cannot write prepared data.*HF_STRATEGIES_CACHE"):
        built_once("kind", "name", lambda made: made.touch())


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full on this system")  # noqa: PTH110
def test_a_full_disk_is_said_in_one_line():
    def build(folder):
        (folder / "ids.bin").symlink_to("/dev/full")
        with (folder / "ids.bin").open("wb") as file:
            file.write(b"x" * 100_000)

    with pytest.raises(UserError, match=r"No space left on device.*HF_STRATEGIES_CACHE"):
        built_once("kind", "name", build)


def test_a_file_that_cannot_be_read_is_named_and_the_cache_is_not_blamed(tmp_path):
    folder = tmp_path / "no_file"  # reading a folder fails like reading a damaged disk
    folder.mkdir()
    with pytest.raises(UserError, match=rf"^{folder}: cannot be read: Is a directory"):
        built_once("kind", "name", lambda _: file_digest(folder))
    with pytest.raises(UserError, match=r"absent: cannot be read: No such file"):
        file_digest(tmp_path / "absent")


def test_a_name_that_is_not_utf8_has_a_digest():
    assert digest([os.fsdecode(b"caf\xe9.txt")]) != digest([os.fsdecode(b"caf\xe8.txt")])
