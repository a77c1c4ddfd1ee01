"""Files by which a run is told what to do from outside: `touch OUT/SAVE`, `touch OUT/STOP`."""

import logging
import time
from pathlib import Path

SAVE, STOP = "SAVE", "STOP"
LOOK_SHARE = 0.01  # of the time goes into looking, at most: on a busy network file system a look takes long

logger = logging.getLogger(__name__)


class ControlFiles:
    """Take the control files out of a folder as they appear there; one that is there already counts too.

    Args:
        folder: The run's.
    """

    def __init__(self, folder: str | Path) -> None:
        self._paths = {name: Path(folder, name) for name in (SAVE, STOP)}
        self._next_look = 0.0

    def take(self) -> set[str]:
        """Return which of `SAVE` and `STOP` somebody has made since the last look, and remove them."""
        began = time.monotonic()
        if began < self._next_look:
            return set()
        taken = {name for name in list(self._paths) if self._removed(name)}
        ended = time.monotonic()
        self._next_look = ended + (ended - began) / LOOK_SHARE
        return taken

    def _removed(self, name: str) -> bool:
        """Look by removing: one system call, and nobody acts twice on one file."""
        try:
            self._paths[name].unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            logger.warning("%s is not obeyed, since it cannot be removed: %s", self._paths.pop(name), error.strerror)
            return False
        return True
