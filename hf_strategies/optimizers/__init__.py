"""gradient -> update: optimizers by name, built from a whole model."""

from hf_strategies.optimizers.factory import OptimizerFactory, create_optimizer, resolve_param_groups
from hf_strategies.optimizers.group_spec import check_group_settings
from hf_strategies.optimizers.hyperparameters import check_optimizer_settings
from hf_strategies.optimizers.shelf import OPTIMIZERS

__all__ = [
    "OPTIMIZERS",
    "OptimizerFactory",
    "check_group_settings",
    "check_optimizer_settings",
    "create_optimizer",
    "resolve_param_groups",
]
