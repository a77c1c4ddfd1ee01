from hf_strategies.reports import RunRecord
from hf_strategies.reports.guard_lines import MOST, guard_lines
from hf_strategies.reports.html_report import render_report


def event(step, action, **values):
    return {"event": "guard", "step": step, "action": action, "reason": "loss is nan", **values}


def test_each_update_that_was_not_taken_has_a_line_in_the_report():
    events = [
        {"event": "log", "step": 3, "loss": 1.0},
        event(3, "skip"),
        event(4, "rollback", returned_to=1000),
        event(5, "rollback", returned_to=None),
        event(6, "stop"),
        event(7, "adapt"),
    ]
    lines = guard_lines(events)
    assert [line.split(". ")[0] for line in lines] == [
        "Update 3: loss is nan; skipped",
        "Update 4: loss is nan; back to the state after update 1,000",
        "Update 5: loss is nan; nothing to go back to",
        "Update 6: loss is nan; training stopped",
        "Update 7: loss is nan; skipped as the last of its kind: the weights are fine, so the data have changed",
    ]
    page = render_report(RunRecord(title="a", location="b", events=events))
    assert all(line in page for line in lines)
    assert "not taken" not in render_report(RunRecord(title="a", location="b", events=events[:1]))


def test_a_long_story_is_cut_and_counted():
    lines = guard_lines([event(step, "skip") for step in range(1, MOST + 4)])
    assert len(lines) == MOST + 1
    assert lines[-1] == "and 3 more"
