"""The sizes and settings of a 3-D ResNet."""

from huggingface_hub.dataclasses import strict
from transformers import PretrainedConfig

# Blocks of each of the four stages, by the layers with weights: two in a block, the stem and the head.
STAGES = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}


@strict
class ResNet3dConfig(PretrainedConfig):
    """A residual network whose convolutions reach over time as over space.

    Args:
        num_channels: Of a clip.
        hidden_size: Channels of the first stage; each stage has twice as many as the one before.
        num_hidden_layers: Layers with weights, a key of `STAGES`.
        stem: "large", 7 x 7 x 7 and a pool behind it, for images of about 112 pixels; "small", 3 x 3 x 3, keeps every
            pixel of small ones.
        dropout: In front of the head.
    """

    model_type = "resnet3d"

    num_channels: int = 3
    hidden_size: int = 64
    num_hidden_layers: int = 18
    stem: str = "large"
    dropout: float | int = 0.0

    def validate_architecture(self) -> None:
        """Raise a `ValueError` if there is no such depth or stem."""
        if self.num_hidden_layers not in STAGES:
            raise ValueError(
                f"num_hidden_layers must be one of {', '.join(map(str, STAGES))}, got {self.num_hidden_layers}"
            )
        if self.stem not in ("large", "small"):
            raise ValueError(f"stem must be large or small, got {self.stem!r}")
