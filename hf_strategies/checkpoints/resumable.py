"""What a run needs of a checkpoint, besides weights, to go on as if it had never stopped."""

import json
from pathlib import Path
from typing import Any

from hf_strategies.errors import UserError, first_line

STATE = "trainer_state.json"
# By what they are called on disk; DeepSpeed's engine keeps optimizer and schedule in a folder of its own.
PARTS = {
    "optimizer": ("*optimizer*", "global_step*"),
    "schedule": ("scheduler.pt", "global_step*"),
    "random state": ("rng_state*.pth",),
}


def read_state(checkpoint: Path) -> dict[str, Any]:
    """Read what the host's trainer has written down about a run.

    Raises:
        UserError: There is no such file, or it is damaged.
    """
    path = checkpoint / STATE
    if not path.is_file():
        raise UserError(f"{checkpoint} is not a checkpoint (no {STATE} in it)")
    try:
        state = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: damaged ({first_line(error)}): resume from an earlier checkpoint") from error
    for name in ("global_step", "max_steps"):
        if not isinstance(state, dict) or type(state.get(name)) is not int:
            raise UserError(f"{path}: damaged ({name} is no number of updates): resume from an earlier checkpoint")
    return state


def check_resumable(checkpoint: Path) -> None:
    """Refuse to go on from a checkpoint in which something is missing; its host would begin that anew, in silence.

    Raises:
        UserError: It says what.
    """
    read_state(checkpoint)
    missing = [part for part, names in PARTS.items() if not any(any(checkpoint.glob(name)) for name in names)]
    if missing:
        raise UserError(
            f"{checkpoint} holds no {', no '.join(missing)} (save_only_model leaves them out): a run cannot go on "
            "from it, only a new one can begin with its weights"
        )
