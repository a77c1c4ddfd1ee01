"""Images and clips of a fine-tuning run: the shape that its model takes, and what tells others of it."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from transformers import AutoImageProcessor, PretrainedConfig, ViTImageProcessorPil
from transformers.image_processing_utils import BaseImageProcessor
from transformers.image_utils import PILImageResampling

from hf_strategies.arguments import Arguments
from hf_strategies.data.labelled import Row
from hf_strategies.errors import UserError, first_line
from hf_strategies.tasks.image_classification import ImageShape, of_channels
from hf_strategies.tasks.task import Task


def image_shape(arguments: Arguments, config: PretrainedConfig | None) -> ImageShape:
    """Say how images come: as the checkpoint had them, or for a model from scratch as they are.

    Args:
        arguments: What was asked for.
        config: Of the checkpoint; None where none is named.
    """
    model, size = arguments.model, arguments.task.image_size
    if config is None:
        return ImageShape(size=size)
    assert model.model_name_or_path is not None
    size = size or getattr(config, "image_size", None)
    try:
        stored = AutoImageProcessor.from_pretrained(model.model_name_or_path, revision=model.model_revision or "main")
        mean, std = tuple(stored.image_mean), tuple(stored.image_std)
    except (OSError, ValueError, ImportError, AttributeError):  # many checkpoints come without one
        mean, std = (0.5,), (0.5,)
    return ImageShape(size=size, num_channels=getattr(config, "num_channels", 3), mean=mean, std=std)


def processor_of(task: Task, processor: Any, rows: Sequence[Row]) -> Any:
    """Return what brings anybody's rows into the shape that a model was trained on, as the host saves it.

    Args:
        task: Settled.
        processor: A tokenizer, or the shape of images.
        rows: To train on.

    Returns:
        The tokenizer; an image processor; None for clips, which are arrays already.
    """
    if not isinstance(processor, ImageShape):
        return processor
    return image_processor(processor, rows) if task.head == "image-classification" else None


def image_processor(shape: ImageShape, rows: Sequence[Row]) -> BaseImageProcessor:
    """Make the host's image processor for images of the rows' shape."""
    num_channels, height, width = rows[0]["image"].shape
    return ViTImageProcessorPil(
        size={"height": height, "width": width},
        resample=PILImageResampling.BILINEAR,
        image_mean=of_channels(shape.mean, num_channels),
        image_std=of_channels(shape.std, num_channels),
        do_convert_rgb=num_channels == 3,
    )


def describe_pictures(row: Row) -> list[str]:
    """Say what a checkpoint gets to see of images, which may be little of what there is; nothing of other rows."""
    if "image" not in row:
        return []
    num_channels, height, width = row["image"].shape
    return [f"images come to the checkpoint {height} x {width}, {'grey' if num_channels == 1 else 'in colour'}"]


@torch.no_grad()
def check_pictures(model: nn.Module, row: Row, name: str) -> None:
    """Show a model an empty picture or clip of the rows' shape; a model that ZeRO has taken apart is not asked.

    Args:
        model: Just loaded.
        row: Any of them, since all have one shape.
        name: What the model is called in the message.

    Raises:
        UserError: It does not take that shape.
    """
    weight = next(model.parameters())
    if hasattr(weight, "ds_shape"):
        return
    if "image" in row:
        blank = torch.zeros(row["image"].shape)
        said = f"images of shape {list(blank.shape)} (channels, height, width)"
    else:
        said = f"clips of shape {list(row['clip'].shape)} (channels, frames, height, width)"
        blank = torch.zeros(row["clip"].shape).transpose(0, 1)  # as the host's video models take them
    was_training = model.training
    model.eval()
    try:
        model(pixel_values=blank[None].to(weight.device))
    except (RuntimeError, ValueError) as error:
        asked = "image" in row and getattr(model.config, "image_size", None) not in (None, row["image"].shape[-1])
        cure = "; without image_size they come in its own" if asked else ""
        raise UserError(f"{name} does not take {said}: {first_line(error)}{cure}") from error
    finally:
        model.train(was_training)
