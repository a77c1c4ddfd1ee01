"""The tables of a classifier's predictions in the HTML report."""

import base64
from collections.abc import Sequence
from html import escape

from hf_strategies.reports.confusion import Confusion, format_share
from hf_strategies.reports.mistakes import Mistake
from hf_strategies.reports.terminal import format_number

MOST_ACROSS, LONGEST_ACROSS = 10, 12  # columns and characters; names of more are written upright
STRONGEST = 45  # percent of colour in a cell: its text stays readable


def confusion_table(confusion: Confusion) -> str:
    """Return how often each class is taken for each: counts with their shares of the row, shaded by them."""
    shown = confusion.shown
    columns = "".join(f'<th scope="col"><span>{escape(confusion.names[number])}</span></th>' for number in shown)
    head = f'<thead><tr><td class="corner">true / predicted</td>{columns}</tr></thead>'
    rows = "".join(
        f'<tr><th scope="row">{escape(confusion.names[true])}</th>'
        + "".join(_cell(confusion, true, predicted) for predicted in shown)
        + "</tr>"
        for true in shown
    )
    said = "Rows are true classes, columns what they are taken for; shares are of all of a class."
    upright = len(shown) > MOST_ACROSS or max(len(confusion.names[number]) for number in shown) > LONGEST_ACROSS
    table = f'<table class="confusion{" many" if upright else ""}">{head}<tbody>{rows}</tbody></table>'
    return f'<div class="wide">{table}</div>{_caption(said, _left_out(confusion))}'


def class_table(confusion: Confusion) -> str:
    """Return how well each class is found."""
    head = "".join(f"<th>{name}</th>" for name in ("class", "precision", "recall", "F1", "support"))
    rows = "".join(
        f"<tr><td>{escape(name)}</td>{''.join(f'<td>{_number(value)}</td>' for value in values)}</tr>"
        for name, *values in map(confusion.scores, confusion.shown)
    )
    table = f'<table class="scores"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    return table + _caption(_left_out(confusion))


def mistakes_table(mistakes: Sequence[Mistake]) -> str:
    """Return the worst mistakes with what was to be classified; nothing where there is none."""
    if not mistakes:
        return ""
    head = "".join(f"<th>{name}</th>" for name in ("example", "true", "predicted", "probability", "loss"))
    rows = "".join(
        f"<tr><td>{_example(mistake)}</td><td>{escape(mistake.true)}</td><td>{escape(mistake.predicted)}</td>"
        f"<td>{escape(format_share(mistake.probability))}</td><td>{format_number(mistake.loss)}</td></tr>"
        for mistake in mistakes
    )
    return f'<table class="mistakes"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _cell(confusion: Confusion, true: int, predicted: int) -> str:
    count, share = confusion.counts[true][predicted], confusion.share(true, predicted)
    if not count:
        return '<td class="never">0</td>'
    kind = "right" if true == predicted else "wrong"
    strength = STRONGEST * share**0.5  # the root lets rare confusions be seen
    text = f"{format_number(count)}<small>{escape(format_share(share))}</small>"
    return f'<td class="{kind}" style="--strength:{strength:.0f}%">{text}</td>'


def _caption(*sentences: str) -> str:
    said = " ".join(filter(None, sentences))
    return f'<p class="caption">{said}</p>' if said else ""


def _left_out(confusion: Confusion) -> str:
    shown, known = len(confusion.shown), len(confusion.names)
    return f"These are the {shown} of {known:,} classes that are confused most." if shown < known else ""


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return format_number(value) if isinstance(value, int) else f"{value:.3f}"


def _example(mistake: Mistake) -> str:
    if mistake.image:
        encoded = base64.b64encode(mistake.image).decode("ascii")
        return f'<img alt="{escape(mistake.true)}" src="data:image/png;base64,{encoded}">'
    return f"<pre>{escape(mistake.text)}</pre>"
