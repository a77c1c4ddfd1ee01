"""The augmentations that can be chosen by name.

What stands on a shelf of images takes a batch and a key per row, and its settings. The facts: `hyperparameters` are
what a user may set, each with the rule for its value; `package` and `extra` are what must be installed.

What stands on the shelf of texts takes a list of words, at least one, and a generator, and returns such a list. Its
`hyperparameters` hold the `probability` that it is applied to a text at all, which is drawn for it. Its other facts:
`keeps_words` says that word i stays word i, or what stands for it, so that labels of words stay right; `needs` is what
must be supplied beside a user's settings: "synonyms" (from a word to others), "mask_token" (what a tokenizer reads as
a missing word), "paraphrases" (from a text to others), or nothing.
"""

from hf_strategies.ranges import (
    AT_LEAST_ONE,
    COUNT,
    POSITIVE,
    POSITIVE_RATIO,
    RATIO,
    Rule,
    is_number,
    is_whole,
    one_of,
    or_none,
)
from hf_strategies.registry import Registry

IMAGE_AUGMENTATIONS: Registry = Registry("image augmentation")
IMAGE_MIXES: Registry = Registry("way of mixing images")
TEXT_AUGMENTATIONS: Registry = Registry("text augmentation")


def _is_area_range(value: object) -> bool:
    if not isinstance(value, list | tuple) or len(value) != 2 or not all(map(is_number, value)):
        return False
    return 0 < value[0] <= value[1] <= 1


AREA_RANGE: Rule = (_is_area_range, "two shares of the image in (0, 1], the smaller one first, such as [0.5, 1]")
MAGNITUDE: Rule = (lambda value: is_whole(value) and 0 <= value <= 30, "a whole number in [0, 30]")

IMAGE_AUGMENTATIONS.add(
    "horizontal_flip",
    "hf_strategies.augmentation.image_crops:horizontal_flip",
    summary="left and right exchanged in a share of the images; not for digits or text",
    hyperparameters={"probability": RATIO},
)
IMAGE_AUGMENTATIONS.add(
    "random_crop",
    "hf_strategies.augmentation.image_crops:random_crop",
    summary="black padding on every side, then a window of the image's own size",
    paper="https://arxiv.org/abs/1512.03385",
    hyperparameters={"padding": or_none(COUNT, " for an eighth of the shorter side")},
)
IMAGE_AUGMENTATIONS.add(
    "random_resized_crop",
    "hf_strategies.augmentation.image_crops:random_resized_crop",
    summary="a window of any size and nearly any shape, enlarged to the image's own size",
    paper="https://arxiv.org/abs/1409.4842",
    hyperparameters={"area": AREA_RANGE},
)
IMAGE_AUGMENTATIONS.add(
    "random_erasing",
    "hf_strategies.augmentation.image_crops:random_erasing",
    summary="a rectangle of noise over a share of the images",
    paper="https://arxiv.org/abs/1708.04896",
    hyperparameters={"probability": RATIO, "area": AREA_RANGE},
)
IMAGE_AUGMENTATIONS.add(
    "trivial_augment",
    "hf_strategies.augmentation.image_policies:trivial_augment",
    summary="one operation per image at any strength, of a wide space; nothing to tune",
    paper="https://arxiv.org/abs/2103.10158",
    hyperparameters={},
    one_channel="the operation color is left out",
    package="kornia",
    extra="vision",
)
IMAGE_AUGMENTATIONS.add(
    "rand_augment",
    "hf_strategies.augmentation.image_policies:rand_augment",
    summary="a few operations per image, one after another, all at one strength",
    paper="https://arxiv.org/abs/1909.13719",
    hyperparameters={"num_operations": COUNT, "magnitude": MAGNITUDE},
    one_channel="the operation color is left out",
    package="kornia",
    extra="vision",
)

IMAGE_MIXES.add(
    "mixup",
    "hf_strategies.augmentation.mixing:mixup",
    summary="a weighted mean of two images and of their labels",
    paper="https://arxiv.org/abs/1710.09412",
    hyperparameters={"alpha": POSITIVE, "probability": RATIO},
)
IMAGE_MIXES.add(
    "cutmix",
    "hf_strategies.augmentation.mixing:cutmix",
    summary="a rectangle of another image, and as much of its label",
    paper="https://arxiv.org/abs/1905.04899",
    hyperparameters={"alpha": POSITIVE, "probability": RATIO},
)

TEXT_AUGMENTATIONS.add(
    "synonym_replacement",
    "hf_strategies.augmentation.eda:synonym_replacement",
    summary="a share of the words become synonyms",
    paper="https://arxiv.org/abs/1901.11196",
    hyperparameters={"probability": RATIO, "rate": POSITIVE_RATIO},
    keeps_words=True,
    needs="synonyms",
)
TEXT_AUGMENTATIONS.add(
    "random_insertion",
    "hf_strategies.augmentation.eda:random_insertion",
    summary="synonyms of a share of the words are put in anywhere",
    paper="https://arxiv.org/abs/1901.11196",
    hyperparameters={"probability": RATIO, "rate": POSITIVE_RATIO},
    keeps_words=False,
    needs="synonyms",
)
TEXT_AUGMENTATIONS.add(
    "random_swap",
    "hf_strategies.augmentation.eda:random_swap",
    summary="two words change places, as often as a share of the words",
    paper="https://arxiv.org/abs/1901.11196",
    hyperparameters={"probability": RATIO, "rate": POSITIVE_RATIO},
    keeps_words=False,
    needs=None,
)
TEXT_AUGMENTATIONS.add(
    "random_deletion",
    "hf_strategies.augmentation.eda:random_deletion",
    summary="each word is left out with the same chance",
    paper="https://arxiv.org/abs/1901.11196",
    hyperparameters={"probability": RATIO, "rate": POSITIVE_RATIO},
    keeps_words=False,
    needs=None,
)
TEXT_AUGMENTATIONS.add(
    "eda",
    "hf_strategies.augmentation.eda:eda",
    summary="one of synonym replacement, insertion, swap and deletion, each as likely",
    paper="https://arxiv.org/abs/1901.11196",
    hyperparameters={"probability": RATIO, "rate": POSITIVE_RATIO},
    keeps_words=False,
    needs="synonyms",
)
TEXT_AUGMENTATIONS.add(
    "aeda",
    "hf_strategies.augmentation.eda:aeda",
    summary="punctuation marks are put in anywhere; the words and their order stay",
    paper="https://arxiv.org/abs/2108.13230",
    hyperparameters={"probability": RATIO, "rate": POSITIVE_RATIO},
    keeps_words=False,
    needs=None,
)
TEXT_AUGMENTATIONS.add(
    "character_noise",
    "hf_strategies.augmentation.noising:character_noise",
    summary="letters inside of words are swapped, dropped, doubled or replaced",
    paper="https://arxiv.org/abs/1711.02173",
    hyperparameters={"probability": RATIO, "rate": POSITIVE_RATIO},
    keeps_words=True,
    needs=None,
)
TEXT_AUGMENTATIONS.add(
    "token_dropout",
    "hf_strategies.augmentation.noising:token_dropout",
    summary="each word is hidden by the mask token with the same chance",
    paper="https://arxiv.org/abs/1703.02573",
    hyperparameters={"probability": RATIO, "rate": POSITIVE_RATIO},
    keeps_words=True,
    needs="mask_token",
)
TEXT_AUGMENTATIONS.add(
    "span_masking",
    "hf_strategies.augmentation.noising:span_masking",
    summary="runs of words are hidden, each by one mask token",
    paper="https://arxiv.org/abs/1910.13461",
    hyperparameters={
        "probability": RATIO,
        "rate": POSITIVE_RATIO,
        "lengths": one_of(("geometric", "poisson")),
        "mean_length": AT_LEAST_ONE,
    },
    keeps_words=False,
    needs="mask_token",
)
TEXT_AUGMENTATIONS.add(
    "back_translation",
    "hf_strategies.augmentation.back_translation:back_translation",
    summary="a paraphrase, made through a seq2seq checkpoint before training",
    paper="https://arxiv.org/abs/1904.12848",
    hyperparameters={"probability": RATIO},
    keeps_words=False,
    needs="paraphrases",
)
