"""From examples to a batch that a model can take: loaded, augmented, mixed, normalised."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from hf_strategies.augmentation.draw_key import DrawKey
from hf_strategies.augmentation.image_spec import ImageSpec
from hf_strategies.augmentation.mixing import draw_partner, mix
from hf_strategies.augmentation.shelf import IMAGE_AUGMENTATIONS, IMAGE_MIXES
from hf_strategies.augmentation.spec import Step
from hf_strategies.errors import UserError


def augment_images(images: Tensor, spec: ImageSpec, keys: Sequence[DrawKey]) -> Tensor:
    """Apply the augmentations of single images, one after another.

    Args:
        images: `[rows, channels, height, width]` in [0, 1].
        spec: What is applied; its way of mixing is not.
        keys: Who draws, per row.
    """
    for step in spec.steps:
        images = IMAGE_AUGMENTATIONS[step.name].build(images, keys, **step.settings)
    return images


class ImageBatches:
    """Make batches of images: a row depends on (seed, epoch, example) alone, whatever batch or process it stands in.

    An example's partner is augmented as the example that it is in the same epoch. Without a way of mixing, labels are
    classes; with one they are distributions, also where a row is not mixed.

    Args:
        load: Maps an index to an image (uint8, `[channels, height, width]`, all of one size) and its class.
        spec: How images are changed; `ImageSpec()` leaves them as they are, for evaluation.
        seed: Seed of the run.
        num_examples: Size of the data set, in which partners are found.
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
        self.load = load
        self.spec = spec
        self.seed = seed
        self.num_examples = num_examples
        self.num_labels = num_labels
        self.mean = mean
        self.std = std

    def __call__(self, rows: Sequence[tuple[int, int]]) -> dict[str, Tensor]:
        """Make the batch of some examples.

        Args:
            rows: Index and epoch of each.

        Returns:
            `pixel_values`, `[rows, channels, height, width]`; `labels`, `[rows]` (int64), or with a way of mixing
            `[rows, classes]`.

        Raises:
            UserError: `mean` and `std` are for another number of channels.
        """
        keys = [DrawKey(self.seed, epoch, index) for index, epoch in rows]
        images, labels = self._augmented(keys)
        if self.spec.mix is not None:
            images, labels = self._mixed(self.spec.mix, images, F.one_hot(labels, self.num_labels).float(), keys)
        channels = images.shape[1]
        if not len(self.mean) == len(self.std) == channels:
            raise UserError(
                f"images of {channels} channels need as many values of mean and std, got {self.mean} and {self.std}"
            )
        mean, std = (torch.tensor(values)[:, None, None] for values in (self.mean, self.std))
        return {"pixel_values": (images - mean) / std, "labels": labels}

    def _augmented(self, keys: Sequence[DrawKey]) -> tuple[Tensor, Tensor]:
        images, classes = zip(*(self.load(key.example) for key in keys), strict=True)
        return augment_images(torch.stack(images) / 255, self.spec, keys), torch.tensor(classes)

    def _mixed(self, way: Step, images: Tensor, labels: Tensor, keys: Sequence[DrawKey]) -> tuple[Tensor, Tensor]:
        draw_kept = IMAGE_MIXES[way.name].build
        kept = torch.stack([draw_kept(key, *images.shape[-2:], **way.settings) for key in keys])
        mixed = [row for row, own in enumerate(kept) if own.min() < 1]  # no other row has to load its partner
        if not mixed:
            return images, labels
        partner_keys = [keys[row]._replace(example=draw_partner(keys[row], self.num_examples)) for row in mixed]
        partners, partner_classes = self._augmented(partner_keys)
        images[mixed], labels[mixed] = mix(
            images[mixed], partners, labels[mixed], F.one_hot(partner_classes, self.num_labels).float(), kept[mixed]
        )
        return images, labels
