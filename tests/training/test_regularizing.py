import pytest
import torch

from hf_strategies.errors import UserError
from hf_strategies.training import StrategyTrainer


def column(trainer, name):
    return [row[name] for row in trainer.state.log_history if name in row]


@pytest.fixture
def still(build_lm, numbered_rows, arguments):
    """Train without moving or dropout, so that a loss is a number of the first weights."""

    def run(accumulation=1, **settings):
        model = build_lm()
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        args = arguments(
            max_steps=2, save_strategy="no", learning_rate=1e-12, gradient_accumulation_steps=accumulation,
            per_device_train_batch_size=8 // accumulation, eval_strategy="steps", eval_steps=2,
        )  # fmt: skip
        trainer = StrategyTrainer(model, args, train_dataset=numbered_rows, eval_dataset=numbered_rows[:4], **settings)
        trainer.train()
        return trainer

    return run


@pytest.mark.parametrize("accumulation", [1, 2, 4])
def test_the_loss_gains_the_mean_square_of_log_z_over_the_targets(still, numbered_rows, accumulation):
    plain, with_z = still(accumulation), still(accumulation, z_loss=0.5)
    rows = torch.stack([numbered_rows[index]["input_ids"] for index in plain.model.seen[:8]])
    logits = plain.model.eval()(input_ids=rows).logits[:, :-1].double()
    log_z = logits.exp().sum(-1).log()
    expected = 0.5 * log_z.square().sum().item() / rows.numel()  # the host counts every label, as its own loss does
    gained = column(with_z, "loss")[0] - column(plain, "loss")[0]
    assert gained == pytest.approx(expected, rel=1e-3)
    assert column(with_z, "eval_loss") == pytest.approx(column(plain, "eval_loss"), abs=1e-6)


def test_a_factor_that_pushes_logits_apart_is_refused(build_lm, arguments):
    with pytest.raises(UserError, match="z_loss must be a number above 0, got -1"):
        StrategyTrainer(build_lm(), arguments(), z_loss=-1)
