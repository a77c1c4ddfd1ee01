"""Adversarial embeddings: the step uphill, what a pass leaves as it was, and gradients in a Trainer."""

import copy
import itertools
import math
from contextlib import nullcontext

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    T5Config,
    T5ForConditionalGeneration,
    TrainerCallback,
    ViTConfig,
    ViTForImageClassification,
)

from hf_strategies.errors import UserError
from hf_strategies.training import StrategyTrainer
from hf_strategies.training.adversarial import adversarial_pass, input_embeddings, step_uphill

SIZES = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
STILL = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
IDS = torch.randint(0, 64, (8, 6), generator=torch.Generator().manual_seed(0))
CLASSES = IDS[:, 0] % 3


def bert(**dropout):
    torch.manual_seed(0)
    return BertForSequenceClassification(BertConfig(vocab_size=64, num_labels=3, **SIZES, **{**STILL, **dropout}))


def backward_of(model, **inputs):
    def backward():
        loss = model(**inputs).loss
        loss.backward()
        return loss.detach()

    return backward


def gradients(model):
    return {name: param.grad for name, param in model.named_parameters() if param.grad is not None}


def textbook_gradients(model, epsilon, ids, labels):
    """Equation 7 on a copy: the gradient of the embedded words, one step per example, and the sum of both losses."""
    model = copy.deepcopy(model)
    embeds = model.get_input_embeddings()(ids).detach().requires_grad_()
    (uphill,) = torch.autograd.grad(model(inputs_embeds=embeds, labels=labels).loss, embeds)
    for row in uphill:
        row *= epsilon / row.square().sum().sqrt()
    clean = model(input_ids=ids, labels=labels).loss
    adversarial = model(inputs_embeds=model.get_input_embeddings()(ids) + uphill, labels=labels).loss
    (clean + adversarial).backward()
    return gradients(model), clean.item(), adversarial.item()


def test_each_example_goes_by_epsilon_along_its_own_gradient():
    grad = torch.tensor([[[3.0, 0.0], [0.0, 4.0]], [[0.0, 0.0], [0.0, 0.0]], [[1e-30, 0.0], [0.0, 0.0]]])
    step = step_uphill(grad, epsilon=10.0)
    assert step.tolist() == [[[6.0, 0.0], [0.0, 8.0]], [[0.0, 0.0], [0.0, 0.0]], [[10.0, 0.0], [0.0, 0.0]]]


def test_a_pass_adds_the_textbooks_gradient_and_returns_the_loss_of_the_examples_as_they_are():
    model = bert().double()
    expected, clean, adversarial = textbook_gradients(model, 0.5, IDS, CLASSES)
    loss = adversarial_pass(model, backward_of(model, input_ids=IDS, labels=CLASSES), epsilon=0.5, alone=nullcontext)
    assert loss.item() == pytest.approx(clean)
    assert adversarial > clean  # uphill
    for name, grad in gradients(model).items():
        torch.testing.assert_close(grad, expected[name])


def test_dropout_is_drawn_once_for_both_passes():
    model = bert(hidden_dropout_prob=0.3).train()
    seen = []
    model.classifier.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0] == 0))
    torch.manual_seed(3)
    adversarial_pass(model, backward_of(model, input_ids=IDS, labels=CLASSES), epsilon=0.1, alone=nullcontext)
    after = torch.get_rng_state()
    assert seen[0].any()
    assert torch.equal(*seen)
    torch.manual_seed(3)
    model(input_ids=IDS)
    assert torch.equal(after, torch.get_rng_state())


@pytest.mark.parametrize("failing", [0, 1])
def test_nothing_is_left_behind_when_a_pass_fails(failing):
    model = bert()
    before = copy.deepcopy(model.state_dict())
    run, passes = backward_of(model, input_ids=IDS, labels=CLASSES), iter(range(2))

    def backward():
        loss = run()
        if next(passes) == failing:
            raise KeyboardInterrupt
        return loss

    with pytest.raises(KeyboardInterrupt):
        adversarial_pass(model, backward, epsilon=0.5, alone=nullcontext)
    assert not input_embeddings(model)._forward_hooks
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_frozen_embeddings_below_peft_are_moved_too():
    model = get_peft_model(bert(), LoraConfig(target_modules=["query"], init_lora_weights=False))
    moved = []
    model.base_model.model.bert.embeddings.LayerNorm.register_forward_pre_hook(lambda _, given: moved.append(given[0]))
    adversarial_pass(model, backward_of(model, input_ids=IDS, labels=CLASSES), epsilon=0.5, alone=nullcontext)
    lengths = (moved[1] - moved[0]).flatten(1).norm(dim=1)
    torch.testing.assert_close(lengths, torch.full((8,), 0.5), rtol=1e-4, atol=0)


def test_of_an_encoder_decoder_the_encoders_words_are_moved():
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2, "dropout_rate": 0.0}
    model = T5ForConditionalGeneration(T5Config(vocab_size=64, **sizes, decoder_start_token_id=0))
    inputs = {"encoder": [], "decoder": []}
    for half, seen in inputs.items():
        block = getattr(model, half).block[0]
        block.register_forward_pre_hook(lambda _, given, seen=seen: seen.append(given[0]))
    adversarial_pass(model, backward_of(model, input_ids=IDS, labels=IDS), epsilon=0.5, alone=nullcontext)
    lengths = (inputs["encoder"][1] - inputs["encoder"][0]).flatten(1).norm(dim=1)
    torch.testing.assert_close(lengths, torch.full((8,), 0.5), rtol=1e-4, atol=0)
    assert torch.equal(*inputs["decoder"])


def test_of_an_image_model_the_patches_are_moved():
    model = ViTForImageClassification(ViTConfig(**SIZES, **STILL, image_size=8, patch_size=4, num_labels=3))
    seen = []
    model.vit.embeddings.dropout.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    pixels = torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    adversarial_pass(model, backward_of(model, pixel_values=pixels, labels=CLASSES), epsilon=0.5, alone=nullcontext)
    steps = (seen[1] - seen[0]).flatten(1).norm(dim=1)
    torch.testing.assert_close(steps, torch.full((8,), 0.5), rtol=1e-4, atol=0)


def test_a_model_without_embeddings_or_that_goes_around_them_is_refused():
    linear = nn.Linear(4, 1)
    with pytest.raises(UserError, match="fgm_epsilon moves input embeddings, and Linear says of none"):
        adversarial_pass(linear, lambda: linear(torch.ones(2, 4)).sum(), epsilon=0.1, alone=nullcontext)
    model = bert()
    around = backward_of(model, inputs_embeds=torch.zeros(8, 6, 16), labels=CLASSES)
    with pytest.raises(UserError, match="BertForSequenceClassification did not use those it names"):
        adversarial_pass(model, around, epsilon=0.1, alone=nullcontext)


class KeepGradients(TrainerCallback):
    def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
        self.found = {name: grad.clone() for name, grad in gradients(model).items()}


@pytest.fixture
def train(arguments):
    def run(model, split, **options):
        keep = KeepGradients()
        args = arguments(
            max_steps=1, save_strategy="no", max_grad_norm=0, per_device_train_batch_size=split[0],
            gradient_accumulation_steps=split[1], train_sampling_strategy="sequential",
        )  # fmt: skip
        rows = [{"input_ids": ids, "labels": label} for ids, label in zip(IDS, CLASSES)]
        options = {"fgm_epsilon": 0.5, "objective": "cross_entropy", **options}
        trainer = StrategyTrainer(model, args, train_dataset=rows, callbacks=[keep], **options)
        trainer.train()
        return keep.found, trainer.state.log_history[0]["loss"]

    return run


@pytest.mark.parametrize("split", [(8, 1), (4, 2), (2, 4)], ids=["8x1", "4x2", "2x4"])
def test_an_update_is_the_textbooks_however_it_is_split(train, split):
    model = bert().double()
    expected, clean, _ = textbook_gradients(model, 0.5, IDS, CLASSES)
    found, loss = train(model, split)
    assert loss == pytest.approx(clean, rel=1e-6)
    for name, grad in found.items():
        torch.testing.assert_close(grad, expected[name])


def test_a_sharpness_aware_update_takes_all_four_passes(train):
    """The gradient of the sum of both losses, at the weights that are rho uphill of it."""
    model, rho = bert().double(), 0.05
    uphill = copy.deepcopy(model)
    grads, _, _ = textbook_gradients(model, 0.5, IDS, CLASSES)
    norm = torch.sqrt(sum(grad.square().sum() for grad in grads.values()))
    with torch.no_grad():
        for name, param in uphill.named_parameters():
            param.add_(rho * grads[name] / norm)
    expected, _, _ = textbook_gradients(uphill, 0.5, IDS, CLASSES)
    found, _ = train(model, (8, 1), sam_rho=rho)
    for name, grad in found.items():
        torch.testing.assert_close(grad, expected[name])


def test_the_guard_skips_an_update_of_which_the_second_pass_alone_is_bad(arguments):
    """Its loss is never logged, and its gradient would spoil every weight."""
    model, passes, weights = bert(), itertools.count(1), []

    def spoil(module, inputs, output):
        if next(passes) == 6:  # of two in each update
            output.pooler_output = output.pooler_output * math.nan
        return output

    model.bert.register_forward_hook(spoil)

    class KeepWeights(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            weights.append(torch.cat([param.detach().flatten() for param in model.parameters()]))

    args = arguments(max_steps=5, save_strategy="no", per_device_train_batch_size=8, gradient_accumulation_steps=1)
    rows = [{"input_ids": ids, "labels": label} for ids, label in zip(IDS, CLASSES)]
    options = {"fgm_epsilon": 0.5, "objective": "cross_entropy", "callbacks": [KeepWeights()]}
    trainer = StrategyTrainer(model, args, train_dataset=rows, **options)
    trainer.train()
    moved = [not torch.equal(*pair) for pair in itertools.pairwise(weights)]
    assert moved == [True, False, True, True]
    assert [row["skipped_updates"] for row in trainer.state.log_history if "skipped_updates" in row] == [1]


def test_both_passes_of_r_drop_are_moved_each_by_its_own_gradient(train):
    model = bert(hidden_dropout_prob=0.3)
    seen = []
    model.bert.embeddings.LayerNorm.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    train(model, (8, 1), r_drop=1.0)
    assert len(seen) == 4
    steps = [seen[2] - seen[0], seen[3] - seen[1]]
    for step in steps:
        torch.testing.assert_close(step.flatten(1).norm(dim=1), torch.full((8,), 0.5), rtol=1e-4, atol=0)
    assert not torch.equal(*steps)
