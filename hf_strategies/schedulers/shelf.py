"""The schedules that can be chosen by name.

What is shelved is a curve, `(step, num_training_steps, **shape) -> factor`. One with `own_warmup` rises by itself: it
sees the whole run and `num_warmup_steps`. Any other gets a linear warmup in front and sees the updates after it.
"""

from hf_strategies.registry import Registry

SCHEDULERS: Registry = Registry("scheduler")

SCHEDULERS.add(
    "constant",
    "hf_strategies.schedulers.curves:constant",
    summary="the base rate to the end",
    own_warmup=False,
)
SCHEDULERS.add(
    "linear",
    "hf_strategies.schedulers.curves:linear",
    summary="straight fall to a floor, 0 by default",
    paper="https://arxiv.org/abs/2502.15938",
    own_warmup=False,
)
SCHEDULERS.add(
    "cosine",
    "hf_strategies.schedulers.curves:cosine",
    summary="half a cosine's fall to a floor, 0 by default",
    paper="https://arxiv.org/abs/1608.03983",
    own_warmup=False,
)
SCHEDULERS.add(
    "warmup_stable_decay",
    "hf_strategies.schedulers.curves:warmup_stable_decay",
    summary="plateau, then a short fall to a floor at the end of the run",
    paper="https://arxiv.org/abs/2404.06395",
    own_warmup=False,
)
