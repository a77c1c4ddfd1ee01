"""The schedules that can be chosen by name.

What is shelved is a curve, `(step, num_training_steps, **shape) -> factor`; reduce_on_plateau alone is `stateful`, and
builds a scheduler that follows an evaluation's metric. The facts: `warmup` says whether a warmup goes "before" the
curve, which then sees the updates after it, or "over" it, as a factor of a curve that counts from the start of the
run; those with a rise of their own ("own") take none, and `instead_of_warmup` says what to set. `defaults` are lengths
that are a share of the run where nothing is said.
"""

from hf_strategies.registry import Registry

SCHEDULERS: Registry = Registry("scheduler")

SCHEDULERS.add(
    "constant",
    "hf_strategies.schedulers.curves:constant",
    summary="the base rate to the end",
    warmup="before",
)
SCHEDULERS.add(
    "linear",
    "hf_strategies.schedulers.curves:linear",
    summary="straight fall to a floor, 0 by default",
    paper="https://arxiv.org/abs/2502.15938",
    warmup="before",
)
SCHEDULERS.add(
    "cosine",
    "hf_strategies.schedulers.curves:cosine",
    summary="half a cosine's fall (or more waves) to a floor, 0 by default",
    paper="https://arxiv.org/abs/1608.03983",
    warmup="before",
)
SCHEDULERS.add(
    "cosine_restarts",
    "hf_strategies.schedulers.curves:cosine_restarts",
    summary="cosine falls that begin anew, longer or lower each time if asked",
    paper="https://arxiv.org/abs/1608.03983",
    warmup="before",
)
SCHEDULERS.add(
    "polynomial",
    "hf_strategies.schedulers.curves:polynomial",
    summary="fall as a power of what is left of the run",
    warmup="before",
)
SCHEDULERS.add(
    "exponential",
    "hf_strategies.schedulers.curves:exponential",
    summary="smooth fall by a factor of gamma in every period, by default once over the run",
    warmup="before",
)
SCHEDULERS.add(
    "step",
    "hf_strategies.schedulers.curves:step_decay",
    summary="a factor of gamma at once after every step_size updates (or epochs)",
    warmup="over",
)
SCHEDULERS.add(
    "multistep",
    "hf_strategies.schedulers.curves:multistep_decay",
    summary="a factor of gamma at once at each milestone",
    warmup="over",
)
SCHEDULERS.add(
    "inverse_sqrt",
    "hf_strategies.schedulers.curves:inverse_sqrt",
    summary="fall as one over the square root of the updates done; knows no end of the run",
    paper="https://arxiv.org/abs/1706.03762",
    warmup="before",
)
SCHEDULERS.add(
    "noam",
    "hf_strategies.schedulers.rises:noam",
    summary="the Transformer's rise and inverse square root; peak 1, or absolute with d_model",
    paper="https://arxiv.org/abs/1706.03762",
    warmup="own",
    instead_of_warmup="set num_rise_steps",
)
SCHEDULERS.add(
    "one_cycle",
    "hf_strategies.schedulers.rises:one_cycle",
    summary="rise over a third of the run, fall far below the start",
    paper="https://arxiv.org/abs/1708.07120",
    warmup="own",
    instead_of_warmup="set num_rise_steps",
    defaults={"num_rise_steps": 0.3},
)
SCHEDULERS.add(
    "slanted_triangular",
    "hf_strategies.schedulers.rises:slanted_triangular",
    summary="ULMFiT's short linear rise and long linear fall",
    paper="https://arxiv.org/abs/1801.06146",
    warmup="own",
    instead_of_warmup="set num_rise_steps",
    defaults={"num_rise_steps": 0.1},
)
SCHEDULERS.add(
    "warmup_stable_decay",
    "hf_strategies.schedulers.curves:warmup_stable_decay",
    summary="plateau, then a short fall to a floor at the end of the run",
    paper="https://arxiv.org/abs/2404.06395",
    warmup="before",
)
SCHEDULERS.add(
    "power",
    "hf_strategies.schedulers.curves:power_decay",
    summary="plateau, power law of the updates done, then a fall to a floor",
    paper="https://arxiv.org/abs/2408.13359",
    warmup="before",
)
SCHEDULERS.add(
    "sequence",
    "hf_strategies.schedulers.rises:sequence",
    summary="any curves, one after another",
    warmup="own",
    instead_of_warmup="set num_warmup_steps of a phase",
)
SCHEDULERS.add(
    "reduce_on_plateau",
    "hf_strategies.schedulers.plateau:reduce_on_plateau",
    summary="lower the rate when an evaluation's metric stops getting better",
    warmup=None,
    stateful=True,
    instead_of_warmup="leave it out (warmup_steps 0): the rate follows evaluations, not updates",
)
