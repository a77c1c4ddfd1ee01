"""The charts of the HTML report: which series, on which scale, and what is said below them."""

from collections.abc import Sequence
from html import escape

from hf_strategies.reports.events import Event
from hf_strategies.reports.series import (
    HEADROOM,
    describe_missing,
    resumed_steps,
    series_of,
    smooth_series,
    visible_range,
)
from hf_strategies.reports.svg_chart import Curve, Frame, line_chart


def loss_chart(events: Sequence[Event]) -> str:
    """Return the large chart of training and evaluation loss as a `<figure>`; nothing when there is no loss."""
    training, evaluations = series_of(events, "loss"), series_of(events, "eval_loss")
    curves = []
    if training:
        single = len(training) == 1  # no line goes through one point
        curves.append(Curve(label="training, as logged", points=training, color="train", faint=True))
        curves.append(Curve(label="training, smoothed", points=smooth_series(training), color="train", marked=single))
    if evaluations:
        curves.append(Curve(label="evaluation", points=evaluations, color="eval", marked=True))
    if not curves:
        return ""
    low, high = visible_range([value for _, value in training + evaluations])
    room = HEADROOM * ((high - low) or 1.0)
    frame = Frame(944, 380, _step_range(events), (low - room, high + room))
    said = ["Loss over optimizer updates; both scales are linear."]
    for name, points in (("Training", training), ("Evaluation", evaluations)):
        said += [f"{name}, {text}" for text in describe_missing(points, low, high)]
    if marks := resumed_steps(events):
        said.append(f"The run was resumed at step {', '.join(f'{step:,}' for step in marks)} (dotted).")
    chart = line_chart(curves, frame, title="Loss over optimizer updates", marks=marks)
    caption = escape(" ".join(said))
    return f'<figure class="large">{_legend(curves)}{chart}<figcaption>{caption}</figcaption></figure>'


def small_charts(events: Sequence[Event]) -> str:
    """Return the charts of learning rate, gradient norm and speed side by side; those without values are left out."""
    charts = [
        _small_chart(events, "learning_rate", "Learning rate, as executed", "rate", smoothed=False),
        _small_chart(events, "grad_norm", "Gradient norm", "norm", smoothed=True),
        _small_chart(events, "tokens_per_second", "Tokens per second", "speed", smoothed=True),
    ]
    return f'<div class="small-charts">{"".join(charts)}</div>' if any(charts) else ""


def _small_chart(events: Sequence[Event], name: str, title: str, color: str, *, smoothed: bool) -> str:
    points = series_of(events, name)
    if not points:
        return ""
    curves = [Curve(label=title, points=points, color=color, faint=smoothed, marked=len(points) == 1)]
    if smoothed:
        curves.append(Curve(label=f"{title}, smoothed", points=smooth_series(points), color=color))
    _, high = visible_range([value for _, value in points])
    frame = Frame(300, 170, _step_range(events), (0.0, (1.0 + HEADROOM) * (high if high > 0 else 1.0)))
    said = escape(" ".join(text.capitalize() for text in describe_missing(points, 0.0, high)))
    caption = f"<figcaption>{said}</figcaption>" if said else ""
    chart = line_chart(curves, frame, title=title, marks=resumed_steps(events))
    return f"<figure><h3>{title}</h3>{chart}{caption}</figure>"


def _step_range(events: Sequence[Event]) -> tuple[float, float]:
    """Return the steps that all charts of a run share, so that they can be read one below the other."""
    steps = [event["step"] for event in events]
    return (min(steps), max(steps)) if min(steps) < max(steps) else (min(steps) - 0.5, max(steps) + 0.5)


def _legend(curves: Sequence[Curve]) -> str:
    items = "".join(
        f'<li class="{"faint-key" if curve.faint else "key"}" style="--color:var(--{curve.color})">{curve.label}</li>'
        for curve in curves
    )
    return f'<ul class="legend">{items}</ul>'
