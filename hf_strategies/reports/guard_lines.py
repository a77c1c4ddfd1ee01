"""What the step guard did, in words."""

from collections.abc import Sequence

from hf_strategies.reports.events import Event

MOST = 50  # a run that went wrong for longer has its files
DID = {
    "skip": "skipped",
    "stop": "training stopped",
    "adapt": "skipped as the last of its kind: the weights are fine, so the data have changed",
}


def guard_lines(events: Sequence[Event]) -> list[str]:
    """Return a line for each update that was not taken, and, past many, one that counts the rest."""
    told = [event for event in events if event["event"] == "guard"]
    lines = [_line(event) for event in told[:MOST]]
    return [*lines, f"and {len(told) - MOST:,} more"] if len(told) > MOST else lines


def _line(event: Event) -> str:
    did = DID.get(event["action"])
    back = event.get("returned_to")
    did = did or ("nothing to go back to" if back is None else f"back to the state after update {back:,}")
    return f"Update {event['step']:,}: {event['reason']}; {did}. Replay it from incident-{event['step']}.json"
