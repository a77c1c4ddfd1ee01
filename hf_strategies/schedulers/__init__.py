"""step -> factor: learning-rate schedules by name."""

from hf_strategies.schedulers.factory import bind_curve, create_scheduler, schedule_curve
from hf_strategies.schedulers.shelf import SCHEDULERS

__all__ = ["SCHEDULERS", "bind_curve", "create_scheduler", "schedule_curve"]
