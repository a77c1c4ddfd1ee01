"""When, during training: one callback per file, each of which works alone in a plain `Trainer`."""

from hf_strategies.callbacks.shelf import AVERAGES, CALLBACKS

__all__ = ["AVERAGES", "CALLBACKS"]
