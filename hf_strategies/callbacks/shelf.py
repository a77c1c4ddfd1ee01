"""The callbacks that a run can be given by name."""

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
