"""Which of the host's model classes has which of Transformer++'s options: what none has together is refused."""

from collections.abc import Mapping
from typing import Any

from hf_strategies.errors import UserError

# By qk_norm, activation, and whether logits are capped. NanoChat has no weights in its norms, one norm more, behind
# the embedding, and normalises queries and keys when they have been rotated.
CLASSES = {
    (False, "silu", False): "LlamaConfig",
    (True, "silu", False): "Qwen3Config",
    (False, "relu2", False): "ArceeConfig",
    (True, "relu2", False): "NanoChatConfig",
    (True, "relu2", True): "NanoChatConfig",
}


def decoder_class(options: Mapping[str, Any]) -> str:
    """Name the config class of a decoder with these options; refuse those that no class of the host has together.

    Raises:
        UserError: There is none; says what there is.
    """
    wanted = (options["qk_norm"], options["activation"], options["logit_softcap"] > 0)
    if wanted not in CLASSES:
        known = "; ".join(map(_written, CLASSES))
        raise UserError(f"no model class of the host has {_written(wanted)} together (there are: {known})")
    return CLASSES[wanted]


def _written(key: tuple[bool, str, bool]) -> str:
    qk_norm, activation, capped = key
    parts = ["qk_norm"] * qk_norm + [f"activation={activation}"] + ["logit_softcap"] * capped
    return " + ".join(parts)
