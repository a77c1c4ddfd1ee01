"""The optimizers that can be chosen by name.

A builder takes parameter groups, `lr` and the hyperparameters that its entry lists. The facts: `hyperparameters` are
what a user may set besides `lr` and `weight_decay` (None: its class says); `state_bytes` is what is kept for a
parameter (`state_memory`); `elementwise` optimizers run on any shard of a parameter, those that take `dtensors` on
FSDP2's; those with `matrix_half` get the hidden matrices in groups of their own; `averages` marks those that want a
constant schedule, since they average their weights instead, and need `ScheduleFreeCallback`; `package` and `extra` are
what must be installed.
"""

from hf_strategies.optimizers import state_memory
from hf_strategies.registry import Registry

OPTIMIZERS: Registry = Registry("optimizer")

OPTIMIZERS.add(
    "adamw",
    "hf_strategies.optimizers.adamw:adamw",
    summary="Adam with decoupled weight decay, in one fused pass",
    paper="https://arxiv.org/abs/1711.05101",
    hyperparameters=("betas", "eps", "decay"),
    state_bytes=state_memory.two_buffers,
    elementwise=True,
    dtensors=True,
    matrix_half=False,
)
OPTIMIZERS.add(
    "lamb",
    "hf_strategies.optimizers.lamb:lamb",
    summary="Adam with each tensor's step as long as its weights allow, for very large batches",
    paper="https://arxiv.org/abs/1904.00962",
    hyperparameters=("betas", "eps"),
    state_bytes=state_memory.two_buffers,
    elementwise=False,
    dtensors=True,
    matrix_half=False,
)
OPTIMIZERS.add(
    "lion",
    "hf_strategies.optimizers.lion:Lion",
    summary="sign of momentum; one state buffer; use 3-10x less lr than AdamW",
    paper="https://arxiv.org/abs/2302.06675",
    hyperparameters=("betas",),
    state_bytes=state_memory.one_buffer,
    elementwise=True,
    dtensors=True,
    matrix_half=False,
)
OPTIMIZERS.add(
    "muon",
    "hf_strategies.optimizers.muon:muon",
    summary="orthogonalised momentum for hidden matrices, AdamW for embeddings, head and vectors",
    paper="https://arxiv.org/abs/2502.16982",
    hyperparameters=("momentum", "scaling", "adamw_lr", "adamw_betas"),
    state_bytes=state_memory.one_buffer_for_matrices,
    elementwise=False,
    dtensors=True,
    matrix_half=True,
)
OPTIMIZERS.add(
    "sgd",
    "hf_strategies.optimizers.libraries:sgd",
    summary="stochastic gradient descent with momentum; decay is added to the gradient",
    paper="https://proceedings.mlr.press/v28/sutskever13.html",
    hyperparameters=("momentum", "nesterov"),
    state_bytes=state_memory.one_buffer,
    elementwise=True,
    dtensors=True,
    matrix_half=False,
)
OPTIMIZERS.add(
    "adafactor",
    "hf_strategies.optimizers.libraries:adafactor",
    summary="Adam with a row and a column of statistics per matrix; lr is relative, try 1e-2",
    paper="https://arxiv.org/abs/1804.04235",
    hyperparameters=("beta2_decay", "clip_threshold"),
    state_bytes=state_memory.row_and_column,
    elementwise=False,
    dtensors=False,
    matrix_half=False,
)
OPTIMIZERS.add(
    "schedule_free_adamw",
    "hf_strategies.optimizers.libraries:schedule_free_adamw",
    summary="AdamW that averages its weights instead of decaying lr: keep lr constant",
    paper="https://arxiv.org/abs/2405.15682",
    hyperparameters=("betas", "eps"),
    state_bytes=state_memory.two_buffers,
    elementwise=True,  # its average reaches the weights that ZeRO keeps elsewhere by `ZeroModes`
    dtensors=True,
    matrix_half=False,
    averages=True,
    package="schedulefree",
    extra="optimizers",
)
OPTIMIZERS.add(
    "soap",
    "hf_strategies.optimizers.libraries:soap",
    summary="Adam in the eigenbasis of Shampoo's preconditioner",
    paper="https://arxiv.org/abs/2409.11321",
    hyperparameters=("betas", "eps", "precondition_frequency"),
    state_bytes=state_memory.preconditioned_buffers,
    elementwise=False,
    dtensors=False,
    matrix_half=False,
    package="pytorch_optimizer",
    extra="optimizers",
)
OPTIMIZERS.add(
    "ademamix",
    "hf_strategies.optimizers.libraries:ademamix",
    summary="AdamW with a second, slow average of gradients",
    paper="https://arxiv.org/abs/2409.03137",
    hyperparameters=("betas", "eps", "slow_beta", "slow_weight", "slow_rise_steps"),
    state_bytes=state_memory.three_buffers,
    elementwise=True,
    dtensors=True,
    matrix_half=False,
    package="pytorch_optimizer",
    extra="optimizers",
)
OPTIMIZERS.add(
    "adamw_8bit",
    "hf_strategies.optimizers.libraries:adamw_8bit",
    summary="AdamW with its state in blocks of 8-bit numbers",
    paper="https://arxiv.org/abs/2110.02861",
    hyperparameters=("betas", "eps"),
    state_bytes=state_memory.two_quantized_buffers,
    elementwise=True,
    dtensors=False,
    matrix_half=False,
    package="bitsandbytes",
    extra="quantization",
)
OPTIMIZERS.add(
    "paged_adamw",
    "hf_strategies.optimizers.libraries:paged_adamw",
    summary="AdamW in float32 whose state moves to the host's memory when the GPU's is full",
    paper="https://arxiv.org/abs/2305.14314",
    hyperparameters=("betas", "eps"),
    state_bytes=state_memory.two_float32_buffers,
    elementwise=True,
    dtensors=False,
    matrix_half=False,
    package="bitsandbytes",
    extra="quantization",
)
OPTIMIZERS.add(
    "paged_adamw_8bit",
    "hf_strategies.optimizers.libraries:paged_adamw_8bit",
    summary="adamw_8bit whose state moves to the host's memory when the GPU's is full",
    paper="https://arxiv.org/abs/2305.14314",
    hyperparameters=("betas", "eps"),
    state_bytes=state_memory.two_quantized_buffers,
    elementwise=True,
    dtensors=False,
    matrix_half=False,
    package="bitsandbytes",
    extra="quantization",
)
OPTIMIZERS.add_family(
    "pytorch_optimizer",
    "hf_strategies.optimizers.library_classes:pytorch_optimizer_class",
    summary="any class of the package pytorch_optimizer, such as pytorch_optimizer:Adan",
    paper="https://pytorch-optimizers.readthedocs.io",
    hyperparameters=None,
    elementwise=False,  # not known of all
    dtensors=False,
    matrix_half=False,
    package="pytorch_optimizer",
    extra="optimizers",
)
