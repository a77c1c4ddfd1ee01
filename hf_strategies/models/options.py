"""What an architecture can have besides sizes: its options, by name, with what each may be."""

from dataclasses import dataclass
from typing import Any

from hf_strategies.ranges import AVERAGE, NOT_NEGATIVE, SWITCH, Rule, one_of, or_none


@dataclass(frozen=True)
class Option:
    """One thing that a user may choose about an architecture.

    Args:
        default: What it is where nobody says.
        rule: What it may be.
        summary: What it is, in a few words.
    """

    default: Any
    rule: Rule
    summary: str

    def __str__(self) -> str:
        default = str(self.default).lower() if isinstance(self.default, bool) else self.default
        return f"{self.summary} ({self.rule[1]}; default: {default})"


Options = dict[str, Option]

DROPOUT = Option(0.0, AVERAGE, "of embeddings, of attention, and of what each layer adds")
TIED = Option(True, SWITCH, "whether the head is the embedding")

TRANSFORMER: Options = {
    "norm_position": Option("post", one_of(["post", "pre"]), "of each layer's norm: behind its sum, or before it"),
    "positions": Option("sinusoidal", one_of(["sinusoidal", "learned"]), "what tells tokens' places"),
    "activation": Option("relu", one_of(["relu", "gelu"]), "of the feed-forward layers"),
    "dropout": DROPOUT,
}
TRANSFORMER_PP: Options = {
    "qk_norm": Option(False, SWITCH, "whether queries and keys are normalised, head by head"),
    "activation": Option("silu", one_of(["silu", "relu2"]), "of the feed-forward layers; silu with a gate"),
    "logit_softcap": Option(0.0, NOT_NEGATIVE, "size that logits stay below, by a tanh; 0 for none"),
    "tie_embeddings": TIED,
}
GPT2: Options = {
    "activation": Option("gelu_new", one_of(["gelu_new", "gelu", "relu", "relu2"]), "of the feed-forward layers"),
    "tie_embeddings": TIED,
    "dropout": DROPOUT,
}
T5: Options = {
    "activation": Option(
        "gated-gelu", one_of(["gated-gelu", "relu"]), "of the feed-forward layers: 1.1's, or the first"
    ),
    "dropout": DROPOUT,
}
BERT: Options = {
    "activation": Option("gelu", one_of(["gelu", "relu"]), "of the feed-forward layers"),
    "dropout": DROPOUT,
}
MODERNBERT: Options = {"dropout": DROPOUT}
RECURRENT: Options = {
    "bidirectional": Option(
        None, or_none(SWITCH, ": a classifier's are, a language model's cannot be"), "whether layers read both ways"
    ),
    "tie_embeddings": TIED,
    "dropout": Option(0.0, AVERAGE, "of embeddings and of what each layer puts out"),
}
RESNET3D: Options = {
    "stem": Option("auto", one_of(["auto", "large", "small"]), "7 x 7 x 7 with a pool behind it, or 3 x 3 x 3"),
    "dropout": Option(0.0, AVERAGE, "in front of the head"),
}
VIT: Options = {"dropout": DROPOUT}
