import threading
import time

from hf_strategies.training.stop.hang_watchdog import HangWatchdog


def waits_for_godot(stop: threading.Event) -> None:
    stop.wait(30)


def test_a_silence_dumps_the_stacks_of_all_threads_once(tmp_path, capfd):
    path, stop = tmp_path / "hang-rank-0.txt", threading.Event()
    other = threading.Thread(target=waits_for_godot, args=(stop,))
    other.start()
    with HangWatchdog(0.2, path) as watchdog:
        while not path.exists():
            time.sleep(0.05)
        time.sleep(0.6)  # still silent
        watchdog.feed()
        while path.read_text().count("nothing has happened") < 2:
            time.sleep(0.05)
    stop.set()
    other.join()
    dumps = path.read_text()
    assert dumps.count("nothing has happened") == 2  # one for each silence
    assert "waits_for_godot" in dumps
    assert "test_a_silence_dumps" in dumps
    assert "nothing has happened" in capfd.readouterr().err


def test_a_run_that_goes_on_dumps_nothing(tmp_path):
    path = tmp_path / "hang-rank-0.txt"
    with HangWatchdog(2.0, path) as watchdog:
        for _ in range(25):
            time.sleep(0.1)
            watchdog.feed()
    assert not path.exists()


def test_without_a_timeout_nobody_watches(tmp_path):
    before = threading.active_count()
    with HangWatchdog(None, tmp_path / "hang-rank-0.txt"):
        assert threading.active_count() == before
