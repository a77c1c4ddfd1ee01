"""Sizes that papers published models in: what `--size` takes, and the proportions that `--parameters` keeps.

A name is the paper's: it counts parameters with the paper's vocabulary, so a smaller one makes a smaller model. The
tables are recalled, and were not looked up again.
"""

from collections.abc import Mapping

Published = Mapping[str, Mapping[str, int]]


def _sizes(width: int, depth: int, heads: int, intermediate: int | None = None) -> dict[str, int]:
    sizes = {"hidden_size": width, "num_hidden_layers": depth, "num_attention_heads": heads}
    return sizes if intermediate is None else {**sizes, "intermediate_size": intermediate}


# Up to 70m: Pythia (https://arxiv.org/abs/2304.01373, and its smaller checkpoints). From 125m: GPT-3
# (https://arxiv.org/abs/2005.14165, table 2.1), with heads that divide the width, as Mamba's table 12 has them
# (https://arxiv.org/abs/2312.00752); 13b is 5120 wide, since 40 heads do not divide the 5140 that are printed.
GPT3: Published = {
    "14m": _sizes(128, 6, 4),
    "31m": _sizes(256, 6, 8),
    "70m": _sizes(512, 6, 8),
    "125m": _sizes(768, 12, 12),
    "350m": _sizes(1024, 24, 16),
    "760m": _sizes(1536, 24, 16),
    "1b3": _sizes(2048, 24, 32),
    "2b7": _sizes(2560, 32, 32),
    "6b7": _sizes(4096, 32, 32),
    "13b": _sizes(5120, 40, 40),
}
# https://arxiv.org/abs/2302.13971, table 2; the width inside its feed-forward layers is that of its checkpoints.
LLAMA: Published = {**GPT3, "7b": _sizes(4096, 32, 32, 11008)}
# Mamba's table 12 again: a block of its own is half of a transformer's.
MAMBA: Published = {
    name: {"hidden_size": sizes["hidden_size"], "num_hidden_layers": 2 * sizes["num_hidden_layers"]}
    for name, sizes in GPT3.items()
    if sizes["hidden_size"] <= 2560
}
# From 169m: RWKV-4's checkpoints (https://arxiv.org/abs/2305.13048); the small ones are Pythia's.
RWKV: Published = {
    name: {"hidden_size": width, "num_hidden_layers": depth}
    for name, width, depth in (
        ("14m", 128, 6), ("31m", 256, 6), ("70m", 512, 6), ("169m", 768, 12), ("430m", 1024, 24), ("1b5", 2048, 24),
        ("3b", 2560, 32), ("7b", 4096, 32), ("14b", 5120, 40),
    )
}  # fmt: skip
# 153m: its authors' configuration for the Pile; the larger ones are those of its paper as they are recalled
# (https://arxiv.org/abs/2302.10866, appendix A). dna: HyenaDNA's (https://arxiv.org/abs/2306.15794), by context.
HYENA: Published = {
    name: {"hidden_size": width, "num_hidden_layers": depth, "intermediate_size": ratio * width}
    for name, width, depth, ratio in (
        ("dna_1k", 128, 2, 4), ("dna_32k", 256, 4, 4), ("dna_160k", 256, 8, 4), ("dna_1m", 256, 8, 4),
        ("153m", 864, 18, 2), ("355m", 1024, 36, 2), ("1b3", 2048, 36, 2),
    )
}  # fmt: skip
# https://arxiv.org/abs/1706.03762, table 3.
TRANSFORMER: Published = {"base": _sizes(512, 6, 8), "big": _sizes(1024, 6, 16)}
# https://arxiv.org/abs/1810.04805, section 3; the four small ones: https://arxiv.org/abs/1908.08962, table 1.
BERT: Published = {
    "tiny": _sizes(128, 2, 2),
    "mini": _sizes(256, 4, 4),
    "small": _sizes(512, 4, 8),
    "medium": _sizes(512, 8, 8),
    "base": _sizes(768, 12, 12),
    "large": _sizes(1024, 24, 16),
}
# https://arxiv.org/abs/2412.13663, section 2.1.
MODERNBERT: Published = {
    "base": _sizes(768, 22, 12, 1152),
    "large": _sizes(1024, 28, 16, 2624),
}
# https://arxiv.org/abs/1910.10683, section 3.7, with the widths of 1.1's gated layers; tiny:
# https://arxiv.org/abs/2109.10686, table 2.
T5: Published = {
    "tiny": _sizes(256, 4, 4),
    "small": _sizes(512, 6, 8),
    "base": _sizes(768, 12, 12, 2048),
    "large": _sizes(1024, 24, 16, 2816),
}
# https://arxiv.org/abs/2010.11929, table 1; tiny and small: https://arxiv.org/abs/2012.12877, table 1.
VIT: Published = {
    "tiny": _sizes(192, 12, 3),
    "small": _sizes(384, 12, 6),
    "base": _sizes(768, 12, 12),
    "large": _sizes(1024, 24, 16),
    "huge": _sizes(1280, 32, 16),
}
# https://arxiv.org/abs/1409.2329, section 4.1.
RECURRENT: Published = {
    "small": {"hidden_size": 200, "num_hidden_layers": 2},
    "medium": {"hidden_size": 650, "num_hidden_layers": 2},
    "large": {"hidden_size": 1500, "num_hidden_layers": 2},
}
# https://arxiv.org/abs/1711.09577, table 1.
RESNET3D: Published = {
    "r3d_18": {"hidden_size": 64, "num_hidden_layers": 18},
    "r3d_34": {"hidden_size": 64, "num_hidden_layers": 34},
}
