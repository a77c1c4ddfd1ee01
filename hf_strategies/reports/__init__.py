"""What a run leaves behind to look at: its events, its picture, its report and its model card."""

from hf_strategies.reports.confusion import Confusion, confusion_lines, count_confusions
from hf_strategies.reports.environment import describe_environment
from hf_strategies.reports.events import EventLog, read_events
from hf_strategies.reports.headlines import headlines
from hf_strategies.reports.html_report import write_report
from hf_strategies.reports.loss_plot import draw_loss
from hf_strategies.reports.mistakes import Mistake, worst_mistakes
from hf_strategies.reports.model_card import model_card
from hf_strategies.reports.predictions import PredictionReport
from hf_strategies.reports.run_record import AdapterBase, RunRecord, SettingRow
from hf_strategies.reports.terminal import format_count, format_duration, format_number, format_table

__all__ = [
    "AdapterBase",
    "Confusion",
    "EventLog",
    "Mistake",
    "PredictionReport",
    "RunRecord",
    "SettingRow",
    "confusion_lines",
    "count_confusions",
    "describe_environment",
    "draw_loss",
    "format_count",
    "format_duration",
    "format_number",
    "format_table",
    "headlines",
    "model_card",
    "read_events",
    "worst_mistakes",
    "write_report",
]
