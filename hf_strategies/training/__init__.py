"""Trainer, extended: only what the host has no socket for."""

from hf_strategies.training.strategy_trainer import StrategyMixin, StrategyTrainer

__all__ = ["StrategyMixin", "StrategyTrainer"]
