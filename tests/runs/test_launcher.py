import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hf_strategies.runs.launcher import LAUNCHED

ASK = """
import ctypes
from hf_strategies.runs.launcher import stop_with_launcher
stop_with_launcher()
answer = ctypes.c_int()
ctypes.CDLL(None).prctl(2, ctypes.byref(answer))  # PR_GET_PDEATHSIG
print(answer.value)
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has ended")


def signal_at_parents_end(**variables: str) -> int:
    environment = {name: value for name, value in os.environ.items() if name not in LAUNCHED}
    environment |= {"PYTHONPATH": str(Path(__file__).parents[2]), **variables}
    done = subprocess.run([sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.parametrize("name", LAUNCHED)
def test_what_a_launcher_started_hears_of_its_end(name):
    assert signal_at_parents_end(**{name: "false"}) == signal.SIGTERM


def test_what_was_started_by_hand_may_outlive_its_shell():
    assert signal_at_parents_end() == 0
