"""The adapters, and the quantized bases under them, that can be chosen by name.

An adapter's builder takes a `Placement` and the settings that its entry lists, and returns a config of peft. The
facts: `hyperparameters` are what a user may set; `adapts` says what is adapted: "linear" layers, the "activations" of
attention and feed-forward layers, or, by tokens put before it, the "input" (of `tasks` alone); `merges` tells whether
it can become part of the weights; `unfit_bases` are the quantizations that it does not work on. Its learning rate is
`lr_ratio` times that of full fine-tuning, or `lr` whatever that is, and `lr_source` says who found that.
`param_groups` are settings of the optimizer that belong to it, `callback` the name of one that it needs; `recomputes`
is false where gradient checkpointing would lose it.

A quantization's builder takes a `BasePlan` and returns a config of the host's; `package` and `extra` are what must be
installed.
"""

from hf_strategies.registry import Registry

ADAPTERS: Registry = Registry("adapter")

QUANTIZATIONS: Registry = Registry("quantization")

LORA_SETTINGS = ("rank", "alpha", "dropout")
PROMPTED_TASKS = ("CAUSAL_LM", "SEQ_2_SEQ_LM", "SEQ_CLS")

ADAPTERS.add(
    "lora",
    "hf_strategies.adapters.low_rank:lora",
    summary="a product of two thin matrices beside each linear layer; merges into it",
    paper="https://arxiv.org/abs/2106.09685",
    hyperparameters=LORA_SETTINGS,
    adapts="linear",
    merges=True,
    lr_ratio=10.0,
    lr_source="LoRA Without Regret, https://thinkingmachines.ai/blog/lora",
)
ADAPTERS.add(
    "rslora",
    "hf_strategies.adapters.low_rank:rslora",
    summary="lora scaled by one over the root of its rank, which keeps high ranks learning",
    paper="https://arxiv.org/abs/2312.03732",
    hyperparameters=LORA_SETTINGS,
    adapts="linear",
    merges=True,
    lr_ratio=10.0,
    lr_source="as lora, whose scale it has at rank 16",
)
ADAPTERS.add(
    "dora",
    "hf_strategies.adapters.low_rank:dora",
    summary="lora for the direction of each weight column, and a vector for their lengths; slower",
    paper="https://arxiv.org/abs/2402.09353",
    hyperparameters=LORA_SETTINGS,
    adapts="linear",
    merges=True,
    lr_ratio=10.0,
    lr_source="as lora",
    unfit_bases=("int8",),  # peft loses its scales after the first step
)
ADAPTERS.add(
    "pissa",
    "hf_strategies.adapters.low_rank:pissa",
    summary="lora that starts as the principal part of each weight; one SVD per layer to start",
    paper="https://arxiv.org/abs/2404.02948",
    hyperparameters=LORA_SETTINGS,
    adapts="linear",
    merges=True,
    lr_ratio=1.0,
    lr_source="the paper trains both at one rate",
    unfit_bases=("int8", "nf4", "torchao_int8"),  # a rounded rest is not what the SVD left
)
ADAPTERS.add(
    "loraplus",
    "hf_strategies.adapters.low_rank:lora",
    summary="lora whose B factors learn 16 times as fast as A",
    paper="https://arxiv.org/abs/2402.12354",
    hyperparameters=LORA_SETTINGS,
    adapts="linear",
    merges=True,
    lr_ratio=0.625,
    lr_source="of A: B has lora's rate; on hard tasks its authors go up to eight times higher",
    param_groups={"lora_plus_ratio": 16.0},
)
ADAPTERS.add(
    "adalora",
    "hf_strategies.adapters.low_rank:adalora",
    summary="low rank, cut down during training where it matters least",
    paper="https://arxiv.org/abs/2303.10512",
    hyperparameters=("target_rank", "initial_rank", "alpha", "dropout", "orthogonality"),
    adapts="linear",
    merges=True,
    lr_ratio=25.0,
    lr_source="the paper's 5e-4 to 1.2e-3, for models that are fine-tuned in full at 2e-5",
    callback="adalora",
)
ADAPTERS.add(
    "ia3",
    "hf_strategies.adapters.scaling:ia3",
    summary="a factor per activation of attention and feed-forward layers; the fewest parameters",
    paper="https://arxiv.org/abs/2205.05638",
    hyperparameters=(),
    adapts="activations",
    merges=True,
    lr=3e-3,
    lr_source="T-Few's, https://github.com/r-three/t-few",
)
ADAPTERS.add(
    "prefix_tuning",
    "hf_strategies.adapters.soft_prompts:prefix_tuning",
    summary="trained keys and values before the input, in every layer",
    paper="https://arxiv.org/abs/2101.00190",
    hyperparameters=("num_virtual_tokens",),
    adapts="input",
    tasks=(*PROMPTED_TASKS, "TOKEN_CLS"),
    recomputes=False,
    merges=False,
    lr=1e-2,
    lr_source="T-Few's comparison, https://github.com/r-three/t-few",
)
ADAPTERS.add(
    "prompt_tuning",
    "hf_strategies.adapters.soft_prompts:prompt_tuning",
    summary="trained embeddings before the input; needs a large model to do well",
    paper="https://arxiv.org/abs/2104.08691",
    hyperparameters=("num_virtual_tokens",),
    adapts="input",
    tasks=PROMPTED_TASKS,
    merges=False,
    lr=3e-2,
    lr_source="peft's examples; the paper's 0.3 is Adafactor's",
)

QUANTIZATIONS.add(
    "int8",
    "hf_strategies.adapters.quantization:int8",
    summary="weights in 8 bits, multiplied apart where activations are outliers",
    paper="https://arxiv.org/abs/2208.07339",
    package="bitsandbytes",
    extra="quantization",
)
QUANTIZATIONS.add(
    "nf4",
    "hf_strategies.adapters.quantization:nf4",
    summary="weights in 4 bits, spaced as a normal distribution is, with quantized scales: QLoRA's",
    paper="https://arxiv.org/abs/2305.14314",
    package="bitsandbytes",
    extra="quantization",
)
QUANTIZATIONS.add(
    "torchao_int8",
    "hf_strategies.adapters.quantization:torchao_int8",
    summary="weights in 8 bits by torchao, on any device that torch has",
    paper="https://github.com/pytorch/ao",
    package="torchao",
    extra="quantization",
)
