import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer

from hf_strategies.callbacks.gradual_unfreezing import GradualUnfreezingCallback, unfrozen_groups
from hf_strategies.optimizers import OptimizerFactory
from hf_strategies.training import StrategyTrainer

SIZES = {"vocab_size": 32, "hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 16, "num_hidden_layers": 2}
PARTS = ("classifier", "layer.1", "layer.0", "embeddings")  # in the order in which they join


@pytest.fixture
def model() -> BertForSequenceClassification:
    torch.manual_seed(0)
    return BertForSequenceClassification(BertConfig(**SIZES, hidden_dropout_prob=0.1))


@pytest.fixture
def rows() -> list[dict[str, torch.Tensor]]:
    ids = torch.randint(0, 32, (16, 6), generator=torch.Generator().manual_seed(0))
    return [{"input_ids": row, "labels": row[0] % 2} for row in ids]


@pytest.fixture
def train(model, rows, arguments):
    """Train with gradual unfreezing; note which parts are trainable, and have moved, in each update."""

    def run(trainer_class=StrategyTrainer, *, every=2, callbacks=(), resume=None, **changes):
        settings = {"param_groups": {"unfreeze_every": every}, "lr": 1e-2}
        args = arguments(
            **{"max_steps": 8, "save_strategy": "steps", "save_steps": 1, "lr_scheduler_type": "constant", **changes}
        )
        trainer = trainer_class(
            model,
            args,
            train_dataset=rows,
            callbacks=list(callbacks),
            optimizer_cls_and_kwargs=(OptimizerFactory, {"name": "adamw", **settings}),
        )
        trainer.noted = []
        hook = model.register_forward_pre_hook(
            lambda *_: trainer.noted.append([_part(model, part).requires_grad for part in PARTS])
        )
        trainer.train(resume_from_checkpoint=resume)
        hook.remove()
        return trainer

    return run


def _part(model, part: str) -> torch.nn.Parameter:
    return next(param for name, param in model.named_parameters() if part in name)


def weights(model) -> dict[str, torch.Tensor]:
    return {name: param.detach().clone() for name, param in model.named_parameters()}


def test_a_group_trains_from_the_update_that_it_begins_at():
    assert unfrozen_groups(9, [0, 10, 20]) == [True, False, False]
    assert unfrozen_groups(10, [0, 10, 20]) == [True, True, False]
    assert unfrozen_groups(99, [0, 10, 20]) == [True, True, True]


@pytest.mark.parametrize("trainer_class", [Trainer, StrategyTrainer])
def test_blocks_join_from_the_top_and_all_is_trainable_in_the_end(trainer_class, train, model, capsys):
    callbacks = [GradualUnfreezingCallback()] if trainer_class is Trainer else []  # ours adds it by itself
    trainer = train(trainer_class, callbacks=callbacks)
    assert trainer.noted == [[update >= 2 * place for place in range(4)] for update in range(8)]
    assert all(param.requires_grad for param in model.parameters())
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("unfreezing")]
    assert [line.split(":")[0] for line in said] == [f"unfreezing at step {step}" for step in (2, 4, 6)]
    assert "block 1" in said[0]
    assert "input embeddings" in said[2]


def test_what_is_frozen_does_not_move_and_has_no_state(train, model):
    before = weights(model)
    trainer = train(every=3, max_steps=6)
    after = weights(model)
    for name, param in model.named_parameters():
        part = next((part for part in PARTS if part in name), "classifier")
        joined = 3 * PARTS.index(part) < 6
        assert bool(trainer.optimizer.state.get(param)) is joined, name
        assert torch.equal(after[name], before[name]) is not joined, name


def test_a_late_group_has_a_bias_correction_of_its_own(train, model):
    trainer = train(every=2)
    steps = [trainer.optimizer.state[_part(model, part)]["step"].item() for part in PARTS]
    assert steps == [8, 6, 4, 2]


def test_each_group_runs_through_its_own_schedule(train, model, rows, arguments):
    rates: list[list[float]] = []

    class Note(GradualUnfreezingCallback):
        def on_pre_optimizer_step(self, args, state, control, optimizer, **kwargs):
            rates.append([group["lr"] for group in optimizer.param_groups])

    trainer = StrategyTrainer(
        model,
        arguments(max_steps=16, warmup_steps=4),
        train_dataset=rows,
        scheduler="linear",
        callbacks=[Note()],
        optimizer_cls_and_kwargs=(
            OptimizerFactory,
            {"name": "adamw", "lr": 1.0, "param_groups": {"unfreeze_every": "1 epoch"}},
        ),
    )
    trainer.train()
    starts = [
        4 * group.get("joins_after", [0])[0] for group in trainer.optimizer.param_groups
    ]  # 16 rows, batches of 4
    assert sorted(set(starts)) == [0, 4, 8, 12]
    for group_rates, start in zip(zip(*rates), starts):
        length = 16 - start
        assert all(rate == 0.0 for rate in group_rates[: start + 1])
        peak = start + length // 4
        assert max(group_rates) == group_rates[peak] == 1.0
        assert 0.0 < group_rates[15] <= 0.34


@pytest.mark.parametrize("step", [1, 2, 3, 6])
def test_a_resumed_run_is_the_uninterrupted_one(step, train, model):
    start = weights(model)
    trainer = train()
    straight = weights(model)
    model.load_state_dict(start)
    resumed = train(resume=f"{trainer.args.output_dir}/checkpoint-{step}")
    assert resumed.noted == trainer.noted[step:]
    for name, weight in weights(model).items():
        assert torch.equal(weight, straight[name]), name


def test_training_again_begins_again(train, model):
    trainer = train()
    trainer.train()
    assert all(param.requires_grad for param in model.parameters())
    # The host keeps its optimizer: two updates of the first run, two of the second.
    assert trainer.optimizer.state[_part(model, "embeddings")]["step"].item() == 4


def test_what_the_user_froze_stays_frozen(train, model):
    model.bert.pooler.requires_grad_(False)
    before = weights(model)["bert.pooler.dense.weight"]
    train()
    assert not model.bert.pooler.dense.weight.requires_grad
    assert torch.equal(model.bert.pooler.dense.weight, before)


def test_groups_that_the_run_does_not_reach_are_named_and_given_back(train, model, caplog):
    train(every=4)
    assert all(param.requires_grad for param in model.parameters())
    (warning,) = [record.getMessage() for record in caplog.records if "end before these join" in record.getMessage()]
    assert warning.startswith("the run's 8 updates end before these join: ")
    assert "input embeddings" in warning
    assert "block 0" in warning
    assert "block 1" not in warning


def test_without_late_groups_it_says_that_it_has_nothing_to_do(model, rows, arguments, caplog):
    Trainer(model, arguments(max_steps=1), train_dataset=rows, callbacks=[GradualUnfreezingCallback()]).train()
    assert "GradualUnfreezingCallback has nothing to do" in caplog.text
