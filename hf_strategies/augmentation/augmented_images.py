"""Images of a data set that change from epoch to epoch."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from torch import Tensor
from torch.utils.data import Dataset

from hf_strategies.augmentation.image_batches import ImageBatches
from hf_strategies.augmentation.image_spec import ImageSpec


class ImageRequest(NamedTuple):
    """An image that a batch is to hold: what makes it, and how it is drawn in which epoch."""

    batches: ImageBatches
    example: int
    epoch: int


class AugmentedImages(Dataset):
    """Images: as they are by index, and augmented by index and epoch.

    Whoever trains asks `draw`, whoever evaluates asks by index. Both get requests: images are loaded and changed in
    batches, by `collate`, the data collator of all such data sets. With a way of mixing, labels to train on are
    distributions over classes, which the objective `cross_entropy` learns from.

    Args:
        load: Maps an index to an image (uint8, `[channels, height, width]`, all of one size) and its class.
        spec: How images are changed, as `parse_image_spec` gives it; `ImageSpec()` leaves them as they are.
        seed: Seed of the run.
        num_examples: Number of images.
        num_labels: Number of classes.
        mean: Of each channel, of pixels in [0, 1].
        std: Of each channel.
    """

    def __init__(
        self,
        load: Callable[[int], tuple[Tensor, int]],
        spec: ImageSpec,
        *,
        seed: int,
        num_examples: int,
        num_labels: int,
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        self.num_examples = num_examples
        self.plain, self.augmented = (
            ImageBatches(load, each, seed=seed, num_examples=num_examples, num_labels=num_labels, mean=mean, std=std)
            for each in (ImageSpec(), spec)
        )

    def __len__(self) -> int:
        return self.num_examples

    def __getitem__(self, index: int) -> ImageRequest:
        return ImageRequest(self.plain, index, 0)

    def draw(self, index: int, epoch: int) -> ImageRequest:
        """Request the image as it is in one epoch; the same whoever asks, and in whatever order."""
        return ImageRequest(self.augmented, index, epoch)

    @staticmethod
    def collate(requests: Sequence[ImageRequest]) -> dict[str, Any]:
        """Make the batch that was requested of one data set."""
        return requests[0].batches([(request.example, request.epoch) for request in requests])
