import time

from hf_strategies.training.stop.control_files import SAVE, STOP, ControlFiles


def take(files) -> set[str]:
    """Look as often as it takes for a look that is due."""
    time.sleep(0.05)
    return files.take()


def test_each_file_is_taken_once_and_removed(tmp_path):
    files = ControlFiles(tmp_path)
    (tmp_path / "SAVE").touch()
    assert take(files) == {SAVE}
    assert take(files) == set()
    (tmp_path / "STOP").touch()
    (tmp_path / "SAVE").touch()
    assert take(files) == {SAVE, STOP}
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_yet_asks_for_nothing(tmp_path):
    assert take(ControlFiles(tmp_path / "missing")) == set()


def test_what_cannot_be_removed_is_told_once_and_not_obeyed_for_ever(tmp_path, caplog):
    files = ControlFiles(tmp_path)
    (tmp_path / "SAVE").mkdir()
    assert [take(files), take(files)] == [set(), set()]
    assert len(caplog.records) == 1
    assert "SAVE is not obeyed, since it cannot be removed" in caplog.text


def test_looking_takes_a_hundredth_of_the_time_at_most(tmp_path, monkeypatch):
    now, looks = [0.0], []
    monkeypatch.setattr("hf_strategies.training.stop.control_files.time.monotonic", lambda: now[0])
    files = ControlFiles(tmp_path)

    def slow(name):  # a network file system that takes 5 ms per file
        now[0] += 0.005
        looks.append(name)
        return False

    monkeypatch.setattr(files, "_removed", slow)
    for _ in range(250):
        files.take()
        now[0] += 0.01  # an update
    assert len(looks) / 2 == 3  # 0.01 s each: at 0, 1.01 and 2.02 of 2.53 s
