"""Where in a model an adapter goes."""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Placement:
    """What a builder is told of the model and the task; names are of modules, or the ends of such names.

    Args:
        task_type: peft's name of the task, such as "SEQ_CLS"; None where it has none (images).
        targets: Modules to adapt.
        feed_forward: Those of them whose input is adapted in the place of their output.
        heads: Modules that are trained and saved whole.
        transposed: Whether the weights of targets are stored `[inputs, outputs]`, as GPT-2 does.
    """

    task_type: str | None = None
    targets: list[str] = field(default_factory=list)
    feed_forward: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    transposed: bool = False
