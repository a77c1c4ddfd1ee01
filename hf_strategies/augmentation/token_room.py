"""How long a text may be."""

from typing import Any


def token_room(model: Any, tokenizer: Any) -> int:
    """Return how many tokens a model takes at once, as far as it or its tokenizer says so."""
    positions = getattr(model.config, "max_position_embeddings", None)
    return tokenizer.model_max_length if positions is None else min(positions, tokenizer.model_max_length)
