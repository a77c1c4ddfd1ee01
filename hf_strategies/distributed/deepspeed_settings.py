"""What DeepSpeed is asked to do, as a flag or the launcher says it.

Nothing here imports torch: a command line asks before any library is loaded.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hf_strategies.errors import UserError, first_line


def asked_deepspeed(given: str | Mapping[str, Any] | None = None) -> dict[str, Any] | None:
    """Return DeepSpeed's settings, or None where nobody asks for DeepSpeed.

    Args:
        given: The value of `--deepspeed`: a file's path or its content. It wins over the launcher's file, as it does
            in the host.

    Raises:
        UserError: The file is not there, or is no JSON object.
    """
    if isinstance(given, Mapping):
        return dict(given)
    if given:
        return _read(given, "--deepspeed")
    if os.environ.get("ACCELERATE_USE_DEEPSPEED", "false").lower() != "true":
        return None
    path = os.environ.get("ACCELERATE_DEEPSPEED_CONFIG_FILE", "none")
    if path == "none":  # the launcher's own flags alone: --zero_stage and others
        return {"zero_optimization": {"stage": int(os.environ.get("ACCELERATE_DEEPSPEED_ZERO_STAGE", 2))}}
    return _read(path, "deepspeed_config_file")


def _read(path: str, setting: str) -> dict[str, Any]:
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            f"{setting} {path} cannot be read ({error.strerror or first_line(error)}); a relative path counts from "
            f"{Path.cwd()}"
        ) from error
    except ValueError as error:
        raise UserError(f"{setting} {path} is no JSON: {first_line(error)}") from error
    if not isinstance(content, dict):
        raise UserError(f"{setting} {path} must hold a JSON object, got {type(content).__name__}")
    return content
