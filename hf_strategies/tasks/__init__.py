"""What a fine-tuning task is: its rows, head, data sets, collator and metrics."""

from hf_strategies.tasks.shelf import TASKS

__all__ = ["TASKS"]
