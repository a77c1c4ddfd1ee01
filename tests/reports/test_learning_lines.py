from hf_strategies.reports import RunRecord
from hf_strategies.reports.html_report import render_report
from hf_strategies.reports.learning_lines import learning_lines


def verdict(step, kind):
    return {"event": "verdict", "step": step, "verdict": kind, "said": f"{kind} as of {step}"}


def test_the_report_tells_each_verdict_in_its_last_words_and_an_early_stop():
    stop = {"event": "early_stop", "step": 1200, "said": "no better <than> before"}
    events = [verdict(4, "learning"), verdict(6, "learning"), verdict(8, "flat"), stop, verdict(1200, "flat")]
    lines = learning_lines(events)
    assert lines == [
        "Step 6: learning as of 6",
        "Step 8: flat as of 8",
        "Step 1,200: no better <than> before",
        "Step 1,200: flat as of 1200",
    ]
    page = render_report(RunRecord(title="a", location="b", events=events))
    assert "What the losses show" in page
    assert "Step 1,200: no better &lt;than&gt; before" in page
    assert "What the losses show" not in render_report(RunRecord(title="a", location="b"))
