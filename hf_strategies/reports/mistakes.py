"""What a classifier gets wrong with the most confidence: mislabelled rows are often among them."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hf_strategies.reports.terminal import ELLIPSIS

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_MISTAKES = 20
MOST_CHARACTERS = 400  # of a text
THUMBNAIL = 64  # pixels, of the longer side
NUM_COLORS = 128


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A row that is predicted to be of a class that it is not of.

    Args:
        true: Its class.
        predicted: The class that it is taken for.
        probability: Of the predicted class, as the model has it.
        loss: Of the row, in nats.
        text: What the row says; empty where it is a picture.
        image: The picture, as a small PNG; empty where it is a text.
    """

    true: str
    predicted: str
    probability: float
    loss: float
    text: str = ""
    image: bytes = b""


def worst_mistakes(
    logits: Any, references: Any, names: Sequence[str], show: "Callable[[int], str | Image]"
) -> list[Mistake]:
    """Return the mistakes with the highest losses, the worst first, twenty at most.

    Args:
        logits: A score for each class, before the softmax. `[rows, classes]`
        references: True classes, -100 where there is none. `[rows]`
        names: Of the classes, by their numbers.
        show: Takes the number of a row and returns its text, or its picture; called for these mistakes alone.
    """
    import numpy as np  # not needed by those who only read a record
    from scipy.special import log_softmax

    from hf_strategies.metrics.inputs import IGNORED, class_scores

    scores, true = class_scores(logits, references)
    rows = np.flatnonzero(np.asarray(references) != IGNORED)
    logged = log_softmax(scores.astype(np.float64), axis=-1)
    losses, predicted = -logged[np.arange(len(true)), true], logged.argmax(axis=-1)
    wrong = np.flatnonzero(predicted != true)
    worst = wrong[np.argsort(-losses[wrong], kind="stable")][:MOST_MISTAKES]
    return [
        Mistake(
            true=names[true[place]],
            predicted=names[predicted[place]],
            probability=float(np.exp(logged[place, predicted[place]])),
            loss=float(losses[place]),
            **_shown(show(int(rows[place]))),
        )
        for place in worst
    ]


def thumbnail(image: "Image") -> bytes:
    """Return a picture as a PNG of at most `THUMBNAIL` pixels a side; a smaller one keeps its pixels."""
    small = image.convert("RGB")
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    file = io.BytesIO()
    small.quantize(NUM_COLORS).save(file, format="PNG", optimize=True)
    return file.getvalue()


def _shown(example: "str | Image") -> dict[str, Any]:
    if not isinstance(example, str):
        return {"image": thumbnail(example)}
    long = len(example) > MOST_CHARACTERS
    return {"text": example[: MOST_CHARACTERS - len(ELLIPSIS)] + ELLIPSIS if long else example}
