import pytest
import torch
from torch import nn
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    ViTConfig,
    ViTForImageClassification,
    ViTModel,
)

from hf_strategies.optimizers.clipping import clip_grads_adaptively_, clip_units_, find_units, head_parameters


def clipped(weight, grad, *, ratio=0.1, unit_dim=0):
    grad = torch.tensor(grad)
    clip_units_(grad, torch.tensor(weight), ratio=ratio, unit_dim=unit_dim, eps=1e-3)
    return grad.tolist()


def test_each_row_is_held_to_its_own_weights():
    # Norms of the weights 5 and 10, so the rows may have 0.5 and 1; the second one is below that and stays.
    assert clipped([[3.0, 4.0], [6.0, 8.0]], [[0.6, 0.8], [0.3, 0.4]]) == [pytest.approx([0.3, 0.4])] * 2


def test_columns_are_the_units_of_a_transposed_weight():
    grad = clipped([[3.0, 6.0], [4.0, 8.0]], [[0.6, 0.3], [0.8, 0.4]], unit_dim=1)
    assert torch.tensor(grad).T.tolist() == [pytest.approx([0.3, 0.4]), pytest.approx([0.3, 0.4])]


def test_a_kernel_is_one_unit_per_output_and_a_vector_one_in_all():
    kernel = torch.full((2, 2, 2), 0.5).tolist()  # each output's norm is 1
    assert clipped(kernel, [[[1.0] * 2] * 2, [[0.01] * 2] * 2]) == [
        [[pytest.approx(0.05)] * 2] * 2,
        [[pytest.approx(0.01)] * 2] * 2,
    ]
    assert clipped([3.0, 4.0], [0.6, 0.8]) == pytest.approx([0.3, 0.4])


def test_weights_of_zero_can_learn_and_gradients_of_zero_stay():
    assert clipped([0.0, 0.0], [3.0, 4.0]) == pytest.approx([6e-5, 8e-5])  # 0.1 x eps long
    assert clipped([1.0, 1.0], [0.0, 0.0]) == [0.0, 0.0]


def test_a_model_is_clipped_but_for_its_head():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2)).requires_grad_(True)
    model[0].bias.requires_grad_(False)
    model(torch.randn(8, 4)).square().sum().backward()
    head = model[2].weight.grad.clone()
    clip_grads_adaptively_(find_units(model), 1e-3)
    ratios = model[0].weight.grad.norm(dim=1) / model[0].weight.norm(dim=1)
    torch.testing.assert_close(ratios, torch.full((4,), 1e-3))
    assert torch.equal(model[2].weight.grad, head)


def test_gpt2s_transposed_weights_are_clipped_by_output():
    model = GPT2LMHeadModel(GPT2Config(n_embd=8, n_layer=1, n_head=1, vocab_size=16, n_positions=4))
    ids = torch.arange(4)[None]
    model(input_ids=ids, labels=ids).loss.backward()
    clip_grads_adaptively_(find_units(model), 1e-4)
    weight = model.transformer.h[0].mlp.c_fc.weight  # [inputs, outputs]
    assert (weight.grad.norm(dim=0) / weight.detach().norm(dim=0).clamp(min=1e-3) <= 1.0001e-4).all()


def test_the_head_is_what_the_model_names_or_its_last_linear_layer():
    model = GPT2LMHeadModel(GPT2Config(n_embd=8, n_layer=1, n_head=1, vocab_size=16, n_positions=4))
    assert head_parameters(model) == {model.transformer.wte.weight}  # tied
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    classifier = BertForSequenceClassification(BertConfig(vocab_size=16, **sizes))
    assert head_parameters(classifier) == set(classifier.classifier.parameters())


def test_a_model_that_is_all_body_has_no_head():
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    images = {"image_size": 4, "patch_size": 2}
    model = ViTModel(ViTConfig(**sizes, **images))
    assert any(isinstance(layer, nn.Linear) for layer in model.modules())
    assert head_parameters(model) == set()
    classifier = ViTForImageClassification(ViTConfig(**sizes, **images))
    assert head_parameters(nn.ModuleList([classifier])) == set(classifier.classifier.parameters())
