"""step -> factor: learning-rate schedules by name."""

from hf_strategies.schedulers.factory import bind_curve, check_schedule, create_scheduler, schedule_curve
from hf_strategies.schedulers.lengths import RunScale
from hf_strategies.schedulers.shelf import SCHEDULERS
from hf_strategies.schedulers.unreached import unreached

__all__ = [
    "RunScale",
    "SCHEDULERS",
    "bind_curve",
    "check_schedule",
    "create_scheduler",
    "schedule_curve",
    "unreached",
]
