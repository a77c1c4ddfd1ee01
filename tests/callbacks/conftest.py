import copy

import pytest

from hf_strategies import StrategyTrainer


@pytest.fixture
def build(tiny_lm, token_rows, arguments):
    """Build a trainer over a copy of one model: three epochs of four updates, a checkpoint after each second one."""

    def build(trainer_class=StrategyTrainer, averaging=None, *, model=None, data=None, **changes):
        settings = {"max_steps": 12, "save_strategy": "steps", "save_steps": 2, "learning_rate": 1e-2}
        data = token_rows[:16] if data is None else data
        return trainer_class(
            copy.deepcopy(tiny_lm) if model is None else model,
            arguments(**{**settings, **changes}),
            train_dataset=data,
            eval_dataset=data[:4],
            callbacks=[averaging] if averaging else [],
        )

    return build
