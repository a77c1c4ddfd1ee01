"""What a checkpoint keeps of a callback, read where the host would not hand it back."""

from typing import Any

from transformers import TrainerState
from transformers.trainer_callback import ExportableState


def stored_attributes(callback: ExportableState, state: TrainerState) -> dict[str, Any]:
    """Return the attributes of the only callback of its class, as the resumed checkpoint has them; none without one.

    The host restores callbacks only under `restore_callback_states_from_checkpoint`.
    """
    stored = state.stateful_callbacks.get(type(callback).__name__, {}) if state.global_step > 0 else {}
    newest = stored[-1] if isinstance(stored, list) else stored
    return newest.get("attributes", {})
