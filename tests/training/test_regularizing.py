import itertools

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch.nn import functional as F
from transformers import BertConfig, BertForSequenceClassification, TrainerCallback

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
    assert with_z.model.seen == plain.model.seen  # one pass
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


@pytest.fixture
def loss_of(build_lm, arguments, numbered_rows):
    """The training loss of eight rows under the dropout that a seed draws; the model, and its logits in each pass."""
    ids = torch.stack([row["input_ids"] for row in numbered_rows[:8]])
    targets = ids.masked_fill(ids % 3 == 0, -100)

    def compute(model=None, labels=targets, num_items=None, **options):
        model = (model or build_lm()).train()
        trainer = StrategyTrainer(model, arguments(), train_dataset=numbered_rows, **options)
        torch.manual_seed(1)
        logits = [model(input_ids=ids).logits[:, :-1] for _ in range(2)]
        torch.manual_seed(1)
        inputs = {"input_ids": ids, "labels": labels}
        return trainer.compute_loss(model, inputs, num_items_in_batch=num_items), logits, targets[:, 1:]

    return compute


def textbook_r_drop(logits, labels, alpha, num_items=None):
    """Half of the paper's equation 4, token by token."""
    total, count = 0.0, 0
    for first, second, label in zip(*[one.flatten(0, -2) for one in logits], labels.flatten()):
        if label == -100:
            continue
        log_p, log_q = first.double().log_softmax(-1), second.double().log_softmax(-1)
        nll = -log_p[label] - log_q[label]
        divergence = (log_p.exp() * (log_p - log_q)).sum() + (log_q.exp() * (log_q - log_p)).sum()
        total += (nll + alpha * divergence / 2) / 2
        count += 1
    return total.item() / (num_items or count)


def test_r_drop_is_half_the_papers_loss_of_two_passes(loss_of):
    """At an alpha that makes the divergence, small before training, half of the loss."""
    found, logits, labels = loss_of(r_drop=2e4)
    expected = textbook_r_drop(logits, labels, 2e4)
    assert expected > 2 * textbook_r_drop(logits, labels, 0.0) > 0
    assert found.item() == pytest.approx(expected, rel=1e-4)
    named, _, _ = loss_of(r_drop=2e4, objective="cross_entropy")
    assert named.item() == pytest.approx(expected, rel=1e-4)
    whole, _, _ = loss_of(r_drop=2e4, num_items=torch.tensor(100), objective="cross_entropy")
    assert whole.item() == pytest.approx(textbook_r_drop(logits, labels, 2e4, 100), rel=1e-4)


def test_both_terms_together_have_the_mean_z_loss_of_both_passes(loss_of):
    with_both, logits, labels = loss_of(r_drop=5.0, z_loss=0.5)
    without, _, _ = loss_of(r_drop=5.0)
    log_z = torch.cat([one[labels != -100].double().logsumexp(-1) for one in logits])
    assert (with_both - without).item() == pytest.approx(0.5 * log_z.square().mean().item(), rel=1e-4)


def test_a_causal_model_below_peft_is_still_one(loss_of, build_lm):
    torch.manual_seed(2)
    model = get_peft_model(build_lm(), LoraConfig(target_modules=["c_attn"], fan_in_fan_out=True, lora_dropout=0.1))
    found, logits, labels = loss_of(model, r_drop=1e4, z_loss=0.5)
    squares = torch.cat([one[labels != -100].double().logsumexp(-1) for one in logits]).square().mean().item()
    assert found.item() == pytest.approx(textbook_r_drop(logits, labels, 1e4) + 0.5 * squares, rel=1e-4)


def test_soft_labels_count_every_row(arguments):
    config = BertConfig(
        vocab_size=32, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, num_labels=3
    )
    model, ids = BertForSequenceClassification(config).train(), torch.arange(32).view(4, 8)
    labels = F.one_hot(torch.tensor([0, 1, 2, 0]), 3) * 0.7 + 0.1
    trainer = StrategyTrainer(model, arguments(), z_loss=0.5, objective="cross_entropy")
    torch.manual_seed(0)
    found = trainer.compute_loss(model, {"input_ids": ids, "labels": labels})
    torch.manual_seed(0)
    logits = model(input_ids=ids).logits
    expected = F.cross_entropy(logits, labels) + 0.5 * logits.logsumexp(-1).square().mean()
    torch.testing.assert_close(found, expected)
    args = arguments(gradient_accumulation_steps=1)
    with pytest.raises(UserError, match=r"z_loss needs labels that are classes, got torch.float32"):
        StrategyTrainer(model, args, z_loss=0.5).compute_loss(model, {"input_ids": ids, "labels": labels})


def test_terms_beside_a_loss_that_grows_with_micro_batches_are_refused(arguments):
    config = BertConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
    model = BertForSequenceClassification(config)
    StrategyTrainer(model, arguments(gradient_accumulation_steps=1), r_drop=1.0)  # nothing to grow with
    args = arguments(gradient_accumulation_steps=4)
    StrategyTrainer(model, args, r_drop=1.0, objective="cross_entropy")
    with pytest.raises(UserError, match=r"z_loss and r_drop: the loss of BertForSeq.*ranks, here 4"):
        StrategyTrainer(model, args, r_drop=1.0, z_loss=1e-4)


class KeepGradients(TrainerCallback):
    def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
        self.found = [param.grad.clone() for param in model.parameters()]


@pytest.mark.parametrize("objective", [None, "focal"])
def test_an_update_has_one_gradient_however_it_is_split(build_lm, numbered_rows, arguments, objective):
    """Dropout would draw anew in each split: a disturbance of every second pass stands in its place."""
    for row in numbered_rows:
        row["labels"] = row["labels"].masked_fill(row["labels"] % 3 == 0, -100)
        row["labels"][0] = -100  # the host counts these with GPT-2, although nothing predicts them

    def gradient(size, accumulation):
        model, keep, passes = build_lm(), KeepGradients(), itertools.count()
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        model.transformer.wte.register_forward_hook(lambda *call: call[-1] * (1 + 0.5 * (next(passes) % 2)))
        args = arguments(
            max_steps=1, save_strategy="no", max_grad_norm=0, per_device_train_batch_size=size,
            gradient_accumulation_steps=accumulation,
        )  # fmt: skip
        options = {"r_drop": 2.0, "z_loss": 0.1, "objective": objective}
        StrategyTrainer(model.double(), args, train_dataset=numbered_rows, callbacks=[keep], **options).train()
        return keep.found

    whole = gradient(8, 1)
    for split in ((4, 2), (2, 4)):
        for ours, theirs in zip(gradient(*split), whole, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-7)  # the terms are summed in float32


def test_evaluations_go_without_the_terms(build_lm, numbered_rows, arguments):
    plain, with_terms = (
        StrategyTrainer(build_lm(), arguments(), eval_dataset=numbered_rows, **options).evaluate()["eval_loss"]
        for options in ({}, {"r_drop": 5.0, "z_loss": 1.0})
    )
    assert plain == with_terms


def test_two_passes_that_are_one_and_the_same_are_refused(tiny_lm, token_rows, arguments):
    with pytest.raises(
        UserError, match="r_drop compares two passes under dropout, and LlamaForCausalLM drops nothing"
    ):
        StrategyTrainer(tiny_lm, arguments(), train_dataset=token_rows, r_drop=1.0).train()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"r_drop": 0}, "r_drop must be a number above 0, got 0"),
        (
            {"r_drop": 1.0, "objective": "huber"},
            "r_drop needs one class per row or token, which the objective 'huber'",
        ),
        ({"z_loss": 1e-4, "objective": "binary_cross_entropy"}, "z_loss needs one class per row or token"),
    ],
)
def test_terms_that_fit_no_labels_are_refused(build_lm, arguments, options, complaint):
    with pytest.raises(UserError, match=complaint):
        StrategyTrainer(build_lm(), arguments(), **options)
