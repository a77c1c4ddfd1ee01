"""The config of a 3-D ResNet at the sizes that were asked for."""

from hf_strategies.models.resnet3d.config import ResNet3dConfig

LARGE_IMAGE = 64  # pixels: a large stem and four stages leave a single one of 32


def resnet3d(
    *, image_size: int, num_channels: int, hidden_size: int, num_hidden_layers: int, stem: str, dropout: float
) -> ResNet3dConfig:
    """3-D ResNet of basic blocks, with batch normalisation: wants batches of 16 and more.

    Args:
        image_size: The shorter side of a clip's images, in pixels.
        num_channels: Of a clip.
        hidden_size: Channels of the first of four stages; each has twice as many as the one before.
        num_hidden_layers: Layers with weights: 10, 18 or 34.
        stem: "auto" takes "large" for images of 64 pixels and more, else "small".
        dropout: In front of the head.
    """
    fitting = "large" if image_size >= LARGE_IMAGE else "small"
    return ResNet3dConfig(
        num_channels=num_channels,
        hidden_size=hidden_size,
        num_hidden_layers=num_hidden_layers,
        stem=fitting if stem == "auto" else stem,
        dropout=dropout,
    )
