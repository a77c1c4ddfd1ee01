"""Real signals, sent by processes to themselves; what may end one is tried in a child."""

import os
import signal
import threading
import time

import pytest

from hf_strategies.training.stop.stop_signals import FORWARDED, NAMES, StopSignals


def send(name="SIGTERM"):
    os.kill(os.getpid(), getattr(signal, name))


def in_child(act) -> int:
    """Run `act` in a child process and return how that ended, as `os.waitstatus_to_exitcode` says it."""
    child = os.fork()
    if child == 0:
        try:
            act()
        finally:
            os._exit(7)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("name", NAMES)
def test_a_signal_is_remembered_and_what_was_there_before_comes_back(name):
    before = signal.getsignal(getattr(signal, name))
    with StopSignals(announce=False) as signals:
        send(name)
        assert signals.received == name
    assert signal.getsignal(getattr(signal, name)) == before


def test_a_second_one_ends_the_process_at_once():
    def twice():
        with StopSignals(announce=False):
            send()
            time.sleep(FORWARDED + 0.1)
            send()

    assert in_child(twice) == -signal.SIGTERM


def test_what_a_launcher_passes_on_right_away_is_no_second_one():
    def at_once():
        with StopSignals(announce=False):
            send("SIGINT")
            send("SIGTERM")

    assert in_child(at_once) == 7


def test_the_news_that_the_launcher_has_ended_is_no_second_one():
    reader, writer = os.pipe()

    def launch():
        parent = os.getpid()
        if os.fork() > 0:
            time.sleep(0.2)
            return  # the launcher ends
        with StopSignals(announce=False):
            send()
            while os.getppid() == parent:
                time.sleep(0.01)
            time.sleep(FORWARDED + 0.1)
            send()
            os.write(writer, b"went on;")
            send()
            os.write(writer, b"and on")

    assert in_child(launch) == 7
    os.close(writer)
    with os.fdopen(reader) as file:
        assert file.read() == "went on;"


def test_a_users_own_handler_is_called_too_and_comes_back():
    calls = []

    def own(number, frame):
        calls.append(number)

    before = signal.signal(signal.SIGUSR1, own)
    try:
        with StopSignals(announce=False) as signals:
            send("SIGUSR1")
        assert (calls, signals.received) == ([signal.SIGUSR1], "SIGUSR1")
        assert signal.getsignal(signal.SIGUSR1) == own
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_handler_that_came_later_stays():
    before = signal.getsignal(signal.SIGUSR1)
    try:
        with StopSignals(announce=False):
            signal.signal(signal.SIGUSR1, print)
        assert signal.getsignal(signal.SIGUSR1) == print
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with StopSignals(announce=False) as signals:
            send("SIGINT")
            assert signals.received is None
    finally:
        signal.signal(signal.SIGINT, before)


def test_outside_of_the_main_thread_nothing_is_caught():
    before, seen = signal.getsignal(signal.SIGTERM), []

    def look():
        with StopSignals(announce=False):
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [before]


def test_it_says_on_stderr_that_a_signal_came(capfd):
    with StopSignals(announce=True):
        send()
    assert capfd.readouterr().err == "SIGTERM: saving and stopping after this update; once more ends it at once\n"
