"""What the papers know about training transformers, as parts that plug into `transformers.Trainer`.

Public names are imported on first use: `import hf_strategies` costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

from hf_strategies.version import __version__

if TYPE_CHECKING:
    from hf_strategies.adapters import ADAPTERS
    from hf_strategies.adapters.factory import create_adapter
    from hf_strategies.adapters.freezing import freeze, linear_probe
    from hf_strategies.adapters.merging import merge_adapter
    from hf_strategies.augmentation import TextAugmenter, parse_image_spec, parse_text_spec
    from hf_strategies.augmentation.augmented import AugmentedRows
    from hf_strategies.augmentation.augmented_images import AugmentedImages
    from hf_strategies.callbacks.adalora import AdaLoraCallback
    from hf_strategies.callbacks.console import ConsoleCallback
    from hf_strategies.callbacks.early_stopping import EarlyStoppingCallback
    from hf_strategies.callbacks.event_log import EventLogCallback
    from hf_strategies.callbacks.gradual_unfreezing import GradualUnfreezingCallback
    from hf_strategies.callbacks.hyperparameter_curve import HyperparameterCurveCallback
    from hf_strategies.callbacks.layer_norms import LayerNormsCallback
    from hf_strategies.callbacks.overfitting import OverfittingCallback
    from hf_strategies.callbacks.parameter_groups import ParameterGroupsCallback
    from hf_strategies.callbacks.samples import SamplePrinterCallback
    from hf_strategies.callbacks.schedule_free import ScheduleFreeCallback
    from hf_strategies.callbacks.throughput import ThroughputCallback
    from hf_strategies.callbacks.weight_averaging import WeightAveragingCallback
    from hf_strategies.metrics import EVALUATE_MODULE, METRICS, compute_metrics
    from hf_strategies.objectives import OBJECTIVES
    from hf_strategies.objectives.class_imbalance import class_weights
    from hf_strategies.optimizers import OPTIMIZERS, OptimizerFactory, create_optimizer
    from hf_strategies.optimizers.group_table import describe_param_groups
    from hf_strategies.planning.lr_range_test import lr_range_test
    from hf_strategies.schedulers import SCHEDULERS, create_scheduler
    from hf_strategies.training import StrategyMixin, StrategyTrainer
    from hf_strategies.training.feed.balanced_order import ClassBalance

_ROOM_OF = {
    "ADAPTERS": "adapters",
    "create_adapter": "adapters.factory",
    "freeze": "adapters.freezing",
    "linear_probe": "adapters.freezing",
    "merge_adapter": "adapters.merging",
    "TextAugmenter": "augmentation",
    "parse_image_spec": "augmentation",
    "parse_text_spec": "augmentation",
    "AugmentedRows": "augmentation.augmented",
    "AugmentedImages": "augmentation.augmented_images",
    "AdaLoraCallback": "callbacks.adalora",
    "ConsoleCallback": "callbacks.console",
    "EarlyStoppingCallback": "callbacks.early_stopping",
    "EventLogCallback": "callbacks.event_log",
    "GradualUnfreezingCallback": "callbacks.gradual_unfreezing",
    "HyperparameterCurveCallback": "callbacks.hyperparameter_curve",
    "LayerNormsCallback": "callbacks.layer_norms",
    "OverfittingCallback": "callbacks.overfitting",
    "ParameterGroupsCallback": "callbacks.parameter_groups",
    "SamplePrinterCallback": "callbacks.samples",
    "ScheduleFreeCallback": "callbacks.schedule_free",
    "ThroughputCallback": "callbacks.throughput",
    "WeightAveragingCallback": "callbacks.weight_averaging",
    "EVALUATE_MODULE": "metrics",
    "METRICS": "metrics",
    "compute_metrics": "metrics",
    "OBJECTIVES": "objectives",
    "class_weights": "objectives.class_imbalance",
    "OPTIMIZERS": "optimizers",
    "OptimizerFactory": "optimizers",
    "create_optimizer": "optimizers",
    "describe_param_groups": "optimizers.group_table",
    "lr_range_test": "planning.lr_range_test",
    "SCHEDULERS": "schedulers",
    "create_scheduler": "schedulers",
    "StrategyMixin": "training",
    "StrategyTrainer": "training",
    "ClassBalance": "training.feed.balanced_order",
}

__all__ = [
    "ADAPTERS",
    "AdaLoraCallback",
    "AugmentedImages",
    "AugmentedRows",
    "ClassBalance",
    "ConsoleCallback",
    "EVALUATE_MODULE",
    "EarlyStoppingCallback",
    "EventLogCallback",
    "GradualUnfreezingCallback",
    "HyperparameterCurveCallback",
    "LayerNormsCallback",
    "METRICS",
    "OBJECTIVES",
    "OPTIMIZERS",
    "OptimizerFactory",
    "OverfittingCallback",
    "ParameterGroupsCallback",
    "SCHEDULERS",
    "SamplePrinterCallback",
    "ScheduleFreeCallback",
    "StrategyMixin",
    "StrategyTrainer",
    "TextAugmenter",
    "ThroughputCallback",
    "WeightAveragingCallback",
    "__version__",
    "class_weights",
    "compute_metrics",
    "create_adapter",
    "create_optimizer",
    "create_scheduler",
    "describe_param_groups",
    "freeze",
    "linear_probe",
    "lr_range_test",
    "merge_adapter",
    "parse_image_spec",
    "parse_text_spec",
]


def __getattr__(name: str) -> Any:
    if name not in _ROOM_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_ROOM_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__
