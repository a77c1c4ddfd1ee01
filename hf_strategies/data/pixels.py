"""From an encoded image to its pixels, as they are meant to be looked at."""

import io
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image


def decode(encoded: bytes, *, size: int | None, num_channels: int | None) -> np.ndarray:
    """Decode an image, turned as its camera says, and with 16 bits per pixel scaled to 8.

    Args:
        encoded: A file of a format that Pillow reads.
        size: Height and width to bring it to; None leaves them.
        num_channels: 1 for grey, 3 for colours; None keeps grey images grey.

    Returns:
        `[channels, height, width]`, uint8.

    Raises:
        OSError: It is damaged, or cut off.
        ValueError: Its pixels are numbers of no known range.
    """
    from PIL import Image, ImageOps

    with Image.open(io.BytesIO(encoded)) as image:
        upright = ImageOps.exif_transpose(image)
        pixels = _eight_bits(upright) if upright.mode.startswith(("I", "F")) else upright
        pixels = pixels.convert({1: "L", 3: "RGB", None: "L" if pixels.mode in ("L", "1") else "RGB"}[num_channels])
    if size is not None and pixels.size != (size, size):
        pixels = pixels.resize((size, size), Image.Resampling.BILINEAR)
    array = np.array(pixels)  # a copy: what Pillow lends may not be written to, which torch warns of
    return array[None] if array.ndim == 2 else np.ascontiguousarray(array.transpose(2, 0, 1))


def _eight_bits(image: "Image.Image") -> "Image.Image":
    """Scale grey values of 16 bits to 8; Pillow's own conversion cuts all above 255 off."""
    from PIL import Image

    values = np.asarray(image)
    if values.dtype.kind == "f" or values.min() < 0 or values.max() > 2**16 - 1:
        raise ValueError(f"pixels of mode {image.mode!r} in no known range: expected 8 or 16 bits")
    return Image.fromarray((values // 257).astype(np.uint8))
