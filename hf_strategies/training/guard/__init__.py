"""The step guard's parts: what is bad, what to do about it, where to go back to, and what to write down."""

from hf_strategies.training.guard.policy import GuardOptions

__all__ = ["GuardOptions"]
