import re
import shlex
from html.parser import HTMLParser

import pytest

from hf_strategies.reports.html_report import render_report, write_report
from hf_strategies.reports.run_record import RunRecord

VOID = {"meta", "br", "hr", "img", "link", "input"}
NASTY = "</pre><script>alert('x')</script>&amp;\""


class Page(HTMLParser):
    """A page as a browser sees it: its tags, its text, its attributes, and whether every tag is closed."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.open, self.texts = [], [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture
def record(run_events):
    return RunRecord(
        title="Transformer++ on text",
        location="runs/pretrain-1",
        summary="300 updates.",
        command=["accelerate", "launch", "scripts/pretrain.py", "--train_file", "my data.txt", "--hub_token", "hf_x"],
        settings=[
            ("model", "hidden_size", 256, "default"),
            ("strategy", "optimizer", "muon", "recipe.yaml:3"),
            ("training", "learning_rate", 0.004, "--learning_rate"),
        ],
        environment={"Python": "3.11"},
        data={"training tokens": 3_651_328},
        model={"parameters": 5_031_424},
        results={"eval_loss": 2.6412, "train_runtime": 298.2},
        events=run_events,
        notes=["3 documents were skipped."],
    )


def test_everything_about_the_run_is_on_the_page(record):
    page = Page(render_report(record))
    assert page.open == []
    for text in (
        "Transformer++ on text", "2.641", "4 min 58 s", "3 documents were skipped.", "3,651,328", "5,031,424", "0.004",
        "recipe.yaml:3", "hidden_size", "Step 0", "@@ qq", "Step 300", "x):\n    return x", "self):", "Python",
    ):  # fmt: skip
        assert text in page.texts


def test_it_loads_nothing_and_runs_nothing(record):
    html = render_report(record)
    page = Page(html)
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    assert not {"src", "href", "srcset", "onclick"} & {name for name, _ in page.attributes}
    assert not re.search(r"https?:|@import|url\((?!#)", html)
    assert ("content", "default-src 'none'; img-src data:; style-src 'unsafe-inline'") in page.attributes


def test_text_from_outside_stays_text(record, run_events):
    said = {"event": "samples", "step": 300, "samples": [dict.fromkeys(("prompt", "completion", "reference"), NASTY)]}
    nasty = RunRecord(
        title=NASTY, location=NASTY, summary=NASTY, command=[NASTY], settings=[(NASTY, NASTY, NASTY, NASTY)],
        environment={NASTY: NASTY}, data={NASTY: NASTY}, model={NASTY: [NASTY]}, results={f"eval_{NASTY}": 1.0},
        events=[*run_events[:50], said], notes=[NASTY],
    )  # fmt: skip
    page = Page(render_report(nasty))
    assert "script" not in page.tags
    assert page.open == []
    assert page.texts.count(NASTY) >= 12


def test_secrets_are_not_on_it(record):
    assert "hf_x" not in render_report(record)


def test_the_command_can_be_copied_as_it_stands(record):
    (line,) = [text for text in Page(render_report(record)).texts if text.startswith("accelerate launch")]
    assert shlex.split(line) == record.command


def test_what_was_set_comes_before_what_was_left(record):
    texts = Page(render_report(record)).texts
    assert texts.index("learning_rate") < texts.index("optimizer") < texts.index("hidden_size")


def test_parameter_groups_are_a_table_of_the_run_that_came_last(record):
    def groups(rate: float) -> list[dict]:
        facts = {"tensors": 7, "parameters": 4096, "lr": rate, "weight_decay": 0.1, "optimizer": "muon"}
        return [{"group": f"block {number} <matrices>", **facts} for number in range(3)]

    starts = [event for event in record.events if event["event"] == "run"]
    for start, rate in zip(starts, (0.5, 0.25), strict=True):
        start["param_groups"] = groups(rate)
    texts = Page(render_report(record)).texts
    first = texts.index("blocks 0-2 <matrices>")
    assert texts[first - 6 : first + 6] == [
        *("group", "tensors", "parameters", "learning rate", "decay", "optimizer"),
        *("blocks 0-2 <matrices>", "21", "12,288", "0.25", "0.1", "muon"),
    ]


def test_an_empty_record_is_a_page_too():
    page = Page(render_report(RunRecord(title="Nothing", location="runs/none")))
    assert page.open == []
    assert "h2" not in page.tags


def test_ten_thousand_logged_steps_stay_below_400_kilobytes(record, tmp_path):
    record.events += [
        {"event": "log", "step": step, "loss": 2.0 + step % 7 / 10, "grad_norm": step % 5, "learning_rate": 1 / step}
        for step in range(301, 10_301)
    ]  # fmt: skip
    write_report(record, tmp_path / "report.html")
    assert 20_000 < (tmp_path / "report.html").stat().st_size < 400_000
