"""The callbacks that a run can be given by name, and the averages that one of them keeps."""

from hf_strategies.ranges import AVERAGE, COUNT, or_none
from hf_strategies.registry import Registry

CALLBACKS: Registry = Registry("callback")

CALLBACKS.add(
    "throughput",
    "hf_strategies.callbacks.throughput:ThroughputCallback",
    summary="tokens/s, samples/s and model FLOPs utilisation of training alone, without a sync per step",
    paper="https://arxiv.org/abs/2204.02311",
)
CALLBACKS.add(
    "samples",
    "hf_strategies.callbacks.samples:SamplePrinterCallback",
    summary="completions of held-out prompts before, during and after training",
)
CALLBACKS.add(
    "console",
    "hf_strategies.callbacks.console:ConsoleCallback",
    summary="one aligned row per log, with the time that is left",
)
CALLBACKS.add(
    "parameter_groups",
    "hf_strategies.callbacks.parameter_groups:ParameterGroupsCallback",
    summary="what the optimizer does to which weights: a table as training begins",
)
CALLBACKS.add(
    "event_log",
    "hf_strategies.callbacks.event_log:EventLogCallback",
    summary="everything that is logged, as one JSON line per event; a resumed run continues its file",
)
CALLBACKS.add(
    "schedule_free",
    "hf_strategies.callbacks.schedule_free:ScheduleFreeCallback",
    summary="evaluate and save the averaged weights of a schedule-free optimizer",
    paper="https://arxiv.org/abs/2405.15682",
)
CALLBACKS.add(
    "hyperparameter_curve",
    "hf_strategies.callbacks.hyperparameter_curve:HyperparameterCurveCallback",
    summary="weight decay, momentum or a beta along a curve of the scheduler shelf",
)
CALLBACKS.add(
    "gradual_unfreezing",
    "hf_strategies.callbacks.gradual_unfreezing:GradualUnfreezingCallback",
    summary="blocks that begin to train one after another, from the top, as param_groups say",
    paper="https://arxiv.org/abs/1801.06146",
)
CALLBACKS.add(
    "adalora",
    "hf_strategies.callbacks.adalora:AdaLoraCallback",
    summary="cut the ranks of an AdaLoRA adapter where they matter least",
    paper="https://arxiv.org/abs/2303.10512",
)
CALLBACKS.add(
    "layer_norms",
    "hf_strategies.callbacks.layer_norms:LayerNormsCallback",
    summary="norms of parameters, gradients and updates by layer, in the updates that are logged",
)
CALLBACKS.add(
    "weight_averaging",
    "hf_strategies.callbacks.weight_averaging:WeightAveragingCallback",
    summary="evaluate and save an average of the weights, in the place of the last ones",
)
CALLBACKS.add(
    "early_stopping",
    "hf_strategies.callbacks.early_stopping:EarlyStoppingCallback",
    summary="stop when evaluations get no better, and keep the best one's weights",
)
CALLBACKS.add(
    "overfitting",
    "hf_strategies.callbacks.overfitting:OverfittingCallback",
    summary="say in words what training and validation losses show: learning, overfitting, neither",
)

# How weights are averaged; `hyperparameters` has the range of each setting.
AVERAGES: Registry = Registry("average")

AVERAGES.add(
    "ema",
    "hf_strategies.callbacks.averages:Ema",
    summary="of every update, the newest counting most; its memory grows with the run up to `decay`",
    paper="https://doi.org/10.1137/0330046",
    hyperparameters={"decay": AVERAGE},
)
AVERAGES.add(
    "swa",
    "hf_strategies.callbacks.averages:Swa",
    summary="of the ends of epochs, all alike, from a share of the run on; wants a rate that stays high",
    paper="https://arxiv.org/abs/1803.05407",
    hyperparameters={"start": AVERAGE, "every": or_none(COUNT)},
)
AVERAGES.add(
    "last_k",
    "hf_strategies.callbacks.averages:LastK",
    summary="of the last k ends of epochs, all alike; keeps k copies",
    paper="https://arxiv.org/abs/2209.14981",
    hyperparameters={"k": COUNT, "every": or_none(COUNT)},
)
