"""The optional package behind what is done to pixels."""

from typing import Any

from hf_strategies.errors import MissingPackageError


def kornia() -> Any:
    """Import kornia, on first use.

    Raises:
        MissingPackageError: It is not installed.
    """
    try:
        import kornia
    except ImportError as error:
        raise MissingPackageError("kornia", "vision", "this augmentation of images") from error
    return kornia
