"""The contenders: what can learn to tell classes apart, from counting them to a fine-tuned checkpoint.

Facts: `kinds` of data that it reads; `transformer`; `cost`, about how long an example takes it, as a multiple of the
cheapest network; 0 for what needs no budget. `words`, by kind, are a recipe of scripts/finetune.py and its flags, for
those that it could train as well. A builder takes a problem, the contender's name and the places of the rows to train
on, `seed` and `seconds`, and returns what it has learned.
"""

from hf_strategies.registry import Registry

CONTENDERS: Registry = Registry("contender")
CHECKPOINT = "checkpoint"
ALL = ("text", "image", "clip", "sequence")
SMALL = ("--hidden_size=64", "--num_hidden_layers=2", "--num_attention_heads=4", "--learning_rate=1e-3")

CONTENDERS.add(
    "majority",
    "hf_strategies.planning.plain_learners:majority",
    summary="always the commonest class: what any other must beat",
    kinds=ALL,
    transformer=False,
    cost=0,
)
CONTENDERS.add(
    "linear",
    "hf_strategies.planning.plain_learners:linear",
    summary="logistic regression on TF-IDF of words and pairs, on pixels, or on simple statistics",
    kinds=ALL,
    transformer=False,
    cost=0,
)
CONTENDERS.add(
    "lstm",
    "hf_strategies.planning.networks:shipped",
    summary="a small bidirectional LSTM",
    kinds=("text",),
    transformer=False,
    cost=1,
    words={"text": ("text_from_scratch",)},
)
CONTENDERS.add(
    "gru",
    "hf_strategies.planning.networks:on_vectors",
    summary="a small GRU that reads a step, or a frame, at a time",
    kinds=("clip", "sequence"),
    transformer=False,
    cost=1,
)
CONTENDERS.add(
    "convolution",
    "hf_strategies.planning.networks:convolution",
    summary="three small layers of convolutions",
    kinds=("image",),
    transformer=False,
    cost=1,
)
CONTENDERS.add(
    "resnet3d",
    "hf_strategies.planning.networks:shipped",
    summary="a small 3-D ResNet",
    kinds=("clip",),
    transformer=False,
    cost=4,
    words={"clip": ("clips_from_scratch",)},
)
CONTENDERS.add(
    "transformer",
    "hf_strategies.planning.networks:transformer",
    summary="a small transformer from random weights",
    kinds=ALL,
    transformer=True,
    cost=2,
    words={
        "text": ("text_from_scratch", "--architecture=bert", *SMALL),
        "image": ("from_scratch",),
    },
)
CONTENDERS.add(
    CHECKPOINT,
    "hf_strategies.planning.networks:shipped",
    summary="the checkpoint that was named, fine-tuned",
    kinds=("text", "image", "clip"),
    transformer=True,
    cost=8,
    words={"text": ("small_data",), "image": ("vit_finetune",), "clip": ("vit_finetune",)},
)


def contenders_of(kind: str) -> list[str]:
    """List those that read a kind of data, the cheapest first."""
    names = [name for name in CONTENDERS.names() if kind in CONTENDERS[name].facts["kinds"]]
    return sorted(names, key=lambda name: (CONTENDERS[name].facts["cost"], name != "majority", name))
