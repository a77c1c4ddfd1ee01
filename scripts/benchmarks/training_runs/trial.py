"""One training run to be measured: its settings, its command line, and the key that its row is found by."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_strategies.arguments import Arguments, parse_arguments
from hf_strategies.arguments.resolved import NOT_IDENTITY
from hf_strategies.data.cache import digest
from hf_strategies.data.sources import TextSource, find_documents
from hf_strategies.errors import UserError

EMBEDDED = "standard_library"

# Sizes of the shipped recipe's model with its 4,096 tokens: hidden size and layers of about so many parameters.
SIZES = {"1M": (128, 3), "5M": (256, 5)}

# A recipe may change these without making it another run.
WITHOUT_EFFECT = {"save_strategy", "save_steps", "save_total_limit", "num_completions", "logging_steps"}


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One run: the shipped recipe, with another size, length and corpus, and a contender's own settings.

    Args:
        contender: Whose run it is.
        size: A key of `SIZES`, or hidden size and layers: "256x5".
        corpus: `EMBEDDED`, or a file, folder or glob.
        updates: Length, in optimizer updates.
        eval_every: Updates between evaluations.
        eval_samples: Held-out blocks of each evaluation.
        seed: Of initialisation and data order.
        settings: What the contender sets; the shipped recipe stands for the rest.
    """

    contender: str
    size: str
    corpus: str
    updates: int
    eval_every: int
    eval_samples: int
    seed: int
    settings: Mapping[str, Any]

    def __str__(self) -> str:
        rate = self.settings.get("learning_rate")
        at = f" at {rate:g}" if rate else ""
        return (
            f"{self.contender}{at}, {self.size}, {corpus_name(self.corpus)}, seed {self.seed}, {self.updates} updates"
        )

    def command_line(self) -> list[str]:
        """Write the run as flags of scripts/pretrain.py, its output folder left out."""
        hidden_size, num_layers = shape_of(self.size)
        settings = {
            "hidden_size": hidden_size,
            "num_hidden_layers": num_layers,
            **({} if self.corpus == EMBEDDED else {"train_file": self.corpus}),
            "max_steps": self.updates,
            "seed": self.seed,
            "logging_steps": min(10, max(1, self.updates // 10)),
            "eval_strategy": "steps",
            "eval_steps": self.eval_every,
            "max_eval_samples": self.eval_samples,
            "save_strategy": "no",
            "num_completions": 0,
            **self.settings,
        }
        return [word for name, value in settings.items() for word in (f"--{name}", as_flag(value))]

    def parse(self) -> Arguments:
        """Read the command line as the script will.

        Raises:
            UserError: A setting is wrong; nothing has run by then.
        """
        return parse_arguments(self.command_line(), description="", default_recipe="pretrain")


def shape_of(size: str) -> tuple[int, int]:
    """Return hidden size and layers.

    Raises:
        UserError: `size` is neither a name nor two numbers.
    """
    hidden_size, cross, num_layers = size.partition("x")
    if size in SIZES:
        return SIZES[size]
    if not (cross and hidden_size.isdigit() and num_layers.isdigit()):
        raise UserError(f"size must be one of {', '.join(SIZES)} or HIDDENxLAYERS such as 256x5, got {size!r}")
    return int(hidden_size), int(num_layers)


def corpus_name(corpus: str) -> str:
    """Name a corpus without the folder that it lies in."""
    return corpus.replace("_", " ") if corpus == EMBEDDED else Path(corpus).name


def corpus_digest(corpus: str) -> str:
    """Hash a corpus' text.

    Raises:
        UserError: It is not there.
    """
    files = () if corpus == EMBEDDED else (corpus,)
    return find_documents(TextSource(files=files))[0].identity()


def published_settings(arguments: Arguments) -> dict[str, Any]:
    """What recipe and flags set, as far as it decides what the run computes; a corpus goes by its name alone."""
    left_out = NOT_IDENTITY | WITHOUT_EFFECT
    settings = {name: item.value for name, item in arguments.values.items() if name not in left_out}
    if "train_file" in settings:
        settings["train_file"] = [Path(name).name for name in settings["train_file"]]
    return settings


def key_of(settings: Mapping[str, Any], *, corpus: str, device: str) -> str:
    """Name a run by all that decides its numbers: settings, the corpus' digest, and the device that gives seconds."""
    return digest([json.dumps(settings, sort_keys=True), corpus, device])[:16]


def as_flag(value: Any) -> str:
    if isinstance(value, Mapping):
        return json.dumps(value)
    return "none" if value is None else str(value)
