"""What may be shown of settings and command lines: everything but secrets."""

import re
from collections.abc import Sequence
from typing import Any

REDACTED = "(not shown)"

# `hub_token` and `api_key` are secrets, `num_key_value_heads`, `tokenizer_name` and `max_tokens` are not.
SECRET_NAME = re.compile(r"(^|[_-])(token|key|apikey|passwd)$|secret|password|credential", re.IGNORECASE)


def is_secret(name: str) -> bool:
    """Tell whether a setting of this name holds a secret."""
    return SECRET_NAME.search(name) is not None


def redact_value(name: str, value: Any) -> Any:
    """Return `value` without its secrets, at any depth of mappings and lists; what is not set hides nothing."""
    if is_secret(name):
        return value if value in (None, "") else REDACTED
    if isinstance(value, dict):
        return {key: redact_value(str(key), item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [redact_value(name, item) for item in value]
    return value


def redact_command(words: Sequence[str]) -> list[str]:
    """Return a command line whose `--hub_token X` and `--hub_token=X` no longer say X."""
    shown: list[str] = []
    for word in words:
        name, equals, _ = word.lstrip("-").partition("=")
        if shown and shown[-1].startswith("--") and is_secret(shown[-1]) and not word.startswith("--"):
            shown.append(REDACTED)
        elif equals and is_secret(name):
            shown.append(word[: word.index("=") + 1] + REDACTED)
        else:
            shown.append(word)
    return shown
