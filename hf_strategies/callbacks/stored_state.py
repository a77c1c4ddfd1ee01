"""What a checkpoint keeps of a callback, read where the host would not hand it back."""

from typing import Any

from transformers import TrainerState
from transformers.trainer_callback import ExportableState


def stored_attributes(callback: ExportableState, state: TrainerState) -> dict[str, Any]:
    """Return the attributes of the only callback of its class, as the resumed checkpoint has them; none without one.

    The host restores callbacks only under `restore_callback_states_from_checkpoint`, and fails to save one that the
    checkpoint did not know: that gets its place in `state` here.
    """
    name = type(callback).__name__
    stored = state.stateful_callbacks.setdefault(name, [])
    states = stored if isinstance(stored, list) else [stored]
    return states[-1].get("attributes", {}) if states and state.global_step > 0 else {}
