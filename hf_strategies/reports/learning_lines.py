"""What the losses showed while a run trained, in words."""

from collections.abc import Sequence

from hf_strategies.reports.events import Event


def learning_lines(events: Sequence[Event]) -> list[str]:
    """Return a line for each verdict on the losses and for an early stop; of equal verdicts in a row the last."""
    told = [event for event in events if event["event"] in ("verdict", "early_stop")]
    kept = [
        event
        for event, following in zip(told, [*told[1:], {}])
        if event["event"] == "early_stop" or event["verdict"] != following.get("verdict")
    ]
    return [f"Step {event['step']:,}: {event['said']}" for event in kept]
