import json

import numpy as np
import pytest
import torch
from transformers import Seq2SeqTrainer, Trainer, TrainerCallback

from hf_strategies.callbacks.throughput import ThroughputCallback
from hf_strategies.errors import UserError
from hf_strategies.randomness import shuffled_indices
from hf_strategies.training import StrategyMixin, StrategyTrainer


def column(trainer: Trainer, name: str) -> list[float]:
    return [row[name] for row in trainer.state.log_history if name in row]


def epoch_order(epoch: int, seed: int = 42) -> list[int]:
    return shuffled_indices(np.arange(24), 24, seed=seed, epoch=epoch).tolist()


def test_a_schedule_by_name_has_the_trainers_warmup_and_the_hosts_values(build_lm, numbered_rows, arguments):
    args = arguments(warmup_steps=2, save_strategy="no", lr_scheduler_type="linear")
    theirs = Trainer(build_lm(), args, train_dataset=numbered_rows)
    ours = StrategyTrainer(build_lm(), args, train_dataset=numbered_rows, scheduler="linear")
    for trainer in (theirs, ours):
        trainer.train()
    assert column(ours, "learning_rate") == pytest.approx(column(theirs, "learning_rate"), rel=1e-12)
    assert max(column(ours, "learning_rate")) == args.learning_rate


def test_without_a_name_the_hosts_schedule_stays(build_lm, numbered_rows, arguments):
    args = arguments(lr_scheduler_type="constant", save_strategy="no", max_steps=3)
    trainer = StrategyTrainer(build_lm(), args, train_dataset=numbered_rows)
    trainer.train()
    assert column(trainer, "learning_rate") == [args.learning_rate] * 3


def test_a_schedule_is_built_anew_for_a_second_run(build_lm, numbered_rows, arguments):
    args = arguments(save_strategy="no", max_steps=3)
    trainer = StrategyTrainer(build_lm(), args, train_dataset=numbered_rows, scheduler="linear")
    trainer.train()
    first = column(trainer, "learning_rate")
    trainer.train()
    assert column(trainer, "learning_rate") == first


def test_a_typo_and_arguments_without_a_name_are_refused(build_lm, arguments):
    with pytest.raises(UserError, match="did you mean 'linear'"):
        StrategyTrainer(build_lm(), arguments(), scheduler="liner")
    with pytest.raises(UserError, match="need the name of a scheduler"):
        StrategyTrainer(build_lm(), arguments(), scheduler_kwargs={"min_lr_ratio": 0.1})


class Reporter(TrainerCallback):
    """Keeps what any reporter is given."""

    def __init__(self):
        self.rows = []

    def on_log(self, args, state, control, logs=None, **kwargs):
        self.rows.append(dict(logs))


def test_metrics_of_callbacks_reach_every_reporter_also_one_that_stands_first(build_lm, numbered_rows, arguments):
    reporter, args = Reporter(), arguments(save_strategy="no", max_steps=2, eval_strategy="steps", eval_steps=2)
    callbacks = [reporter, ThroughputCallback()]
    trainer = StrategyTrainer(
        build_lm(), args, train_dataset=numbered_rows, eval_dataset=numbered_rows[:4], callbacks=callbacks
    )
    output = trainer.train()
    *training, evaluation, closing = reporter.rows
    assert len(training) == 2
    assert all(row["tokens_per_second"] > 0 for row in training)
    assert column(trainer, "tokens_per_second") == [row["tokens_per_second"] for row in training]
    assert not {"tokens_per_second", "train_tokens_per_second"} & evaluation.keys()
    assert output.metrics["train_tokens_per_second"] == closing["train_tokens_per_second"] > 0


def test_the_order_is_the_pure_function_of_seed_and_epoch(build_lm, numbered_rows, arguments):
    model = build_lm()
    StrategyTrainer(model, arguments(save_strategy="no", max_steps=6), train_dataset=numbered_rows).train()
    assert model.seen == epoch_order(0) + epoch_order(1)


def test_data_seed_goes_before_seed(build_lm, numbered_rows, arguments):
    model = build_lm()
    args = arguments(save_strategy="no", max_steps=3, data_seed=7)
    StrategyTrainer(model, args, train_dataset=numbered_rows).train()
    assert model.seen == epoch_order(0, seed=7)


def test_an_order_that_the_user_chose_is_left_alone(build_lm, numbered_rows, arguments):
    model = build_lm()
    args = arguments(save_strategy="no", max_steps=3, train_sampling_strategy="sequential")
    StrategyTrainer(model, args, train_dataset=numbered_rows).train()
    assert model.seen == list(range(24))


def train(build_lm, rows, args, **resume) -> Trainer:
    trainer = StrategyTrainer(build_lm(), args, train_dataset=rows, scheduler="linear")
    trainer.train(**resume)
    return trainer


@pytest.mark.parametrize("step", [2, 3, 4])  # within the first epoch, at its end, within the second
def test_a_resumed_run_is_the_uninterrupted_run(build_lm, numbered_rows, arguments, tmp_path, step):
    straight = train(build_lm, numbered_rows, arguments())
    resumed = train(build_lm, numbered_rows, arguments(), resume_from_checkpoint=f"{tmp_path}/out/checkpoint-{step}")
    assert resumed.model.seen == straight.model.seen[8 * step :]
    for name in ("loss", "grad_norm", "learning_rate", "epoch"):
        assert column(resumed, name)[:-1] == column(straight, name)[:-1]
    for ours, theirs in zip(resumed.model.parameters(), straight.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("step", [3, 4, 7, 8])  # before and after the last update of an epoch
def test_a_resumed_run_keeps_the_short_last_update(build_lm, numbered_rows, arguments, tmp_path, step):
    rows = [*numbered_rows, *({name: ids + 1 for name, ids in row.items()} for row in numbered_rows[-2:])]
    rows = [{name: ids % 32 for name, ids in row.items()} for row in rows]  # 26: 3 updates of 8, and one of 2
    straight = train(build_lm, rows, arguments())
    resumed = train(build_lm, rows, arguments(), resume_from_checkpoint=f"{tmp_path}/out/checkpoint-{step}")
    epochs, updates = divmod(step, 4)
    assert resumed.model.seen == straight.model.seen[26 * epochs + 8 * updates :]
    assert column(resumed, "loss") == column(straight, "loss")
    for ours, theirs in zip(resumed.model.parameters(), straight.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_resumed_run_may_have_other_micro_batches(build_lm, numbered_rows, arguments, tmp_path):
    def without_dropout():
        model = build_lm()
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        return model

    straight = train(without_dropout, numbered_rows, arguments())
    args = arguments(per_device_train_batch_size=8, gradient_accumulation_steps=1)
    resumed = train(without_dropout, numbered_rows, args, resume_from_checkpoint=f"{tmp_path}/out/checkpoint-5")
    assert resumed.model.seen == straight.model.seen[8 * 5 :]
    for ours, theirs in zip(resumed.model.parameters(), straight.model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)  # sums in another order, through AdamW


def test_another_global_batch_goes_on_where_the_data_was_left(build_lm, numbered_rows, arguments, tmp_path):
    train(build_lm, numbered_rows, arguments(max_steps=4))  # 32 samples: 8 of the second epoch
    args = arguments(gradient_accumulation_steps=1)
    resumed = train(build_lm, numbered_rows, args, resume_from_checkpoint=f"{tmp_path}/out/checkpoint-4")
    assert resumed.model.seen == epoch_order(1)[8:] + epoch_order(2)[:4]
    assert resumed.state.epoch == pytest.approx(2 + 1 / 6)
    assert resumed.state.global_step == 9


class Loaded(torch.utils.data.Dataset):
    """Rows that note when they are loaded."""

    def __init__(self, rows):
        self.rows, self.loaded = rows, []

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        self.loaded.append(index)
        return self.rows[index]


def test_resuming_loads_nothing_that_it_skips(build_lm, numbered_rows, arguments, tmp_path):
    train(build_lm, numbered_rows, arguments(max_steps=5))
    rows = Loaded(numbered_rows)
    train(build_lm, rows, arguments(max_steps=6), resume_from_checkpoint=f"{tmp_path}/out/checkpoint-5")
    assert rows.loaded == epoch_order(1)[16:]


def test_a_checkpoint_says_where_it_stands(build_lm, numbered_rows, arguments, tmp_path):
    train(build_lm, numbered_rows, arguments(max_steps=4))
    stored = json.loads((tmp_path / "out" / "checkpoint-4" / "position.json").read_text())
    feed = {"num_samples": 24, "data_seed": 42, "samples_per_update": 8, "balance": None}
    assert stored == {"epoch": 1, "samples_in_epoch": 8, "feed": feed, "stream": None}


def test_a_plain_trainers_checkpoint_resumes_as_it_does_there(build_lm, numbered_rows, arguments, tmp_path):
    Trainer(build_lm(), arguments(max_steps=4), train_dataset=numbered_rows).train()
    resumed = train(build_lm, numbered_rows, arguments(), resume_from_checkpoint=f"{tmp_path}/out/checkpoint-4")
    assert resumed.model.seen[:16] == epoch_order(1)[8:]


def test_other_data_are_refused_unless_the_pass_starts_anew(build_lm, numbered_rows, arguments, tmp_path):
    train(build_lm, numbered_rows, arguments(max_steps=4))
    checkpoint = f"{tmp_path}/out/checkpoint-4"
    with pytest.raises(UserError, match=r"24 samples .* this run has 20"):
        train(build_lm, numbered_rows[:20], arguments(), resume_from_checkpoint=checkpoint)
    args = arguments(ignore_data_skip=True, max_steps=5)
    assert train(build_lm, numbered_rows, args, resume_from_checkpoint=checkpoint).model.seen == epoch_order(1)[:8]


def test_a_length_in_epochs_keeps_its_global_batch(build_lm, numbered_rows, arguments, tmp_path):
    train(build_lm, numbered_rows, arguments(max_steps=3))
    args = arguments(max_steps=-1, num_train_epochs=3, gradient_accumulation_steps=1)
    with pytest.raises(UserError, match=r"global batch of 8 samples, .* got 4"):
        train(build_lm, numbered_rows, args, resume_from_checkpoint=f"{tmp_path}/out/checkpoint-3")


def test_the_mixin_extends_other_trainers():
    class Mine(StrategyMixin, Seq2SeqTrainer):
        pass

    names = [cls.__name__ for cls in Mine.__mro__]
    assert names.index("StrategyMixin") < names.index("Seq2SeqTrainer") < names.index("Trainer")
