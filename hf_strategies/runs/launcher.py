"""What ties a script's process to the launcher that started it."""

import ctypes
import os
import signal
import sys

LAUNCHED = ("TORCHELASTIC_RUN_ID", "ACCELERATE_USE_CPU")  # set by torchrun; by accelerate for a single process
PR_SET_PDEATHSIG = 1  # of linux/prctl.h


def stop_with_launcher() -> None:
    """Have the kernel send this process SIGTERM when its launcher ends.

    A launcher that is killed takes its processes with it, and `accelerate launch` passes no signal on to a single one:
    it would train on, with nobody to watch or stop it. What was started by hand may outlive its shell. Elsewhere than
    on Linux no kernel does this, and a signal must be sent to the script itself.
    """
    if sys.platform == "linux" and any(name in os.environ for name in LAUNCHED):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
