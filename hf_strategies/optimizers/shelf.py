"""The optimizers that can be chosen by name.

A builder takes parameter groups, `lr` and the hyperparameters that its entry lists. The facts: `hyperparameters` are
what a user may set besides `lr` and `weight_decay`; `state_buffers` counts the buffers of a parameter's own size and
dtype that are kept for it; `elementwise` optimizers run on any shard of a parameter; those with `matrix_half` get the
hidden matrices in groups of their own, and keep `matrix_state_buffers` for them.
"""

from hf_strategies.registry import Registry

OPTIMIZERS: Registry = Registry("optimizer")

OPTIMIZERS.add(
    "adamw",
    "hf_strategies.optimizers.adamw:adamw",
    summary="Adam with decoupled weight decay, in one fused pass",
    paper="https://arxiv.org/abs/1711.05101",
    hyperparameters=("betas", "eps"),
    state_buffers=2,
    elementwise=True,
    matrix_half=False,
)
OPTIMIZERS.add(
    "lion",
    "hf_strategies.optimizers.lion:Lion",
    summary="sign of momentum; one state buffer; use 3-10x less lr than AdamW",
    paper="https://arxiv.org/abs/2302.06675",
    hyperparameters=("betas",),
    state_buffers=1,
    elementwise=True,
    matrix_half=False,
)
OPTIMIZERS.add(
    "muon",
    "hf_strategies.optimizers.muon:muon",
    summary="orthogonalised momentum for hidden matrices, AdamW for embeddings, head and vectors",
    paper="https://arxiv.org/abs/2502.16982",
    hyperparameters=("momentum", "scaling", "adamw_lr", "adamw_betas"),
    state_buffers=2,
    elementwise=False,
    matrix_half=True,
    matrix_state_buffers=1,
)
