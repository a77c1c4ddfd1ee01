"""outputs -> loss."""

from hf_strategies.objectives.settings import check_objective_settings
from hf_strategies.objectives.shelf import OBJECTIVES

__all__ = ["OBJECTIVES", "check_objective_settings"]
