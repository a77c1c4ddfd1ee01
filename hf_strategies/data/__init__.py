"""Text for language models: from files to blocks of tokens. Public names are imported on first use."""

import importlib
from typing import Any

_MODULE_OF = {
    "PackedBlocks": "packing",
    "PreparedText": "preparation",
    "StreamingBlocks": "streaming",
    "TextSource": "sources",
    "TokenStream": "token_stream",
    "TokenizerRequest": "tokenizers",
    "prepare_text": "preparation",
    "train_tokenizer": "tokenizers",
}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
