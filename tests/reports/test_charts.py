import math
from xml.etree import ElementTree as ET

from hf_strategies.reports.charts import loss_chart, small_charts


def logs(losses, **more):
    return [{"event": "log", "step": step, "loss": loss, **more} for step, loss in enumerate(losses, start=1)]


def test_the_loss_is_drawn_raw_smoothed_and_evaluated(run_events):
    figure = ET.fromstring(loss_chart(run_events))
    assert [item.text for item in figure.findall("ul/li")] == [
        "training, as logged", "training, smoothed", "evaluation",
    ]  # fmt: skip
    assert len(figure.findall("svg/circle")) == 6  # evaluations at 50, 100, ..., 300
    assert "resumed at step 120" in figure.find("figcaption").text


def test_what_is_cut_off_is_said_below_the_chart(run_events):
    spike = {"event": "log", "step": 250, "loss": 1234.0, "grad_norm": math.inf}
    events = [event for event in run_events if event["step"] != 250] + [spike]
    assert "Training, cut off above" in loss_chart(events)
    assert "up to 1,234 at step 250." in loss_chart(events)
    assert "Not finite: 1 of 300 values, the first at step 250." in small_charts(events)


def test_rate_norm_and_speed_stand_side_by_side_and_start_at_zero(run_events):
    figures = ET.fromstring(small_charts(run_events)).findall("figure")
    assert [figure.find("h3").text for figure in figures] == [
        "Learning rate, as executed", "Gradient norm", "Tokens per second",
    ]  # fmt: skip
    assert all(figure.find("svg/text").text == "0" for figure in figures)


def test_a_chart_without_values_is_left_out():
    assert loss_chart([{"event": "run", "step": 0}]) == small_charts([{"event": "run", "step": 0}]) == ""
    assert "Gradient norm" not in small_charts(logs([2.0, 1.0], learning_rate=1e-3))


def test_one_value_is_a_dot():
    assert len(ET.fromstring(loss_chart(logs([2.0]))).findall("svg/circle")) == 1
    assert "<circle" in small_charts(logs([2.0], grad_norm=1.0))
