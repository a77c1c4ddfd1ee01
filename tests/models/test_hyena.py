import copy
import math

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification

from hf_strategies.models.factory import load_config, load_with_new_head
from hf_strategies.models.hyena import HyenaConfig, HyenaForCausalLM, HyenaForSequenceClassification
from hf_strategies.models.hyena.filters import encode_positions, windows
from hf_strategies.models.hyena.operator import fft_convolution

TINY = {
    "vocab_size": 64,
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "max_position_embeddings": 24,
    "filter_size": 16,
    "filter_features": 5,
    "pad_token_id": 0,
}


def build(cls, **changes):
    torch.manual_seed(0)
    model = cls(HyenaConfig(**{**TINY, **changes})).eval()
    with torch.no_grad():
        for param in model.parameters():
            param.add_(0.4 * torch.randn_like(param))  # so that nothing is zero, and nothing is small
    return model


def draw(*shape: int) -> torch.Tensor:
    return torch.randint(1, 64, shape, generator=torch.Generator().manual_seed(1))


def direct_convolution(signal, taps):
    """The sum itself, `out[t] = sum over s <= t of taps[t - s] * signal[s]`, in float64."""
    out = torch.zeros_like(signal, dtype=torch.float64)
    for t in range(signal.shape[-1]):
        for s in range(t + 1):
            out[..., t] += taps[..., t - s].double() * signal[..., s].double()
    return out


@pytest.mark.parametrize("length", [1, 7, 32])
def test_the_convolution_is_the_sum_that_it_stands_for(length):
    signal, taps = torch.randn(2, 3, length), torch.randn(3, length)
    torch.testing.assert_close(
        fft_convolution(signal, taps).double(), direct_convolution(signal, taps), rtol=0, atol=1e-5
    )


def test_half_precision_is_convolved_in_float32():
    signal, taps = torch.randn(1, 3, 32).bfloat16(), torch.randn(3, 32).bfloat16()
    out = fft_convolution(signal, taps)
    assert out.dtype is torch.float32
    torch.testing.assert_close(out.double(), direct_convolution(signal, taps), rtol=0, atol=1e-5)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_operator_is_the_papers_definition(order):
    """Definition 3.1, a sum for every convolution."""
    operator = build(HyenaForCausalLM, order=order).model.layers[0].operator
    states = torch.randn(2, 12, 8)
    with torch.no_grad():
        projected = operator.in_proj(states).mT
        taps = operator.short_conv.weight[:, 0].flip(-1)  # torch's convolutions count backwards
        short = direct_convolution(projected, torch.nn.functional.pad(taps, (0, 9)))
        *gates, z = (short + operator.short_conv.bias[:, None]).chunk(order + 1, dim=1)
        for x, h, skip in zip(gates, operator.filter(12), operator.filter.skip):
            z = x * (direct_convolution(z, h) + skip[:, None] * z)
        expected = operator.out_proj(z.float().mT)
        torch.testing.assert_close(operator(states), expected, rtol=1e-3, atol=1e-5)


def test_a_token_changes_what_comes_after_it_and_nothing_before():
    model, ids = build(HyenaForCausalLM), draw(1, 24)
    for place in (0, 11, 23):
        changed = ids.clone()
        changed[0, place] = 63 - changed[0, place]
        with torch.no_grad():
            difference = (model(ids).logits - model(changed).logits).abs().amax(-1)[0]
        assert difference[:place].sum() < 1e-4
        assert difference[place:].min() > 1e-4


def test_a_shorter_row_uses_the_beginnings_of_the_same_filters():
    filters = build(HyenaForCausalLM).model.layers[0].operator.filter
    with torch.no_grad():
        torch.testing.assert_close(filters(9), filters(24)[..., :9])


def test_positions_and_windows_by_hand():
    quarter = encode_positions(torch.tensor([0.25]), 5)
    torch.testing.assert_close(quarter, torch.tensor([[0.25, 1.0, 0.0, 0.0, -1.0]]), rtol=0, atol=1e-6)
    config = HyenaConfig(**TINY, slow_decay=1.0, fast_decay=0.5, window_floor=0.1)
    ends = windows(config, torch.tensor([0.0, 0.5, 1.0]))  # 1% is left after half of the length, and after all of it
    torch.testing.assert_close(ends[-1], torch.tensor([1.1, 0.11, 0.1001]))
    torch.testing.assert_close(ends[0], torch.tensor([1.1, 0.2, 0.11]))


@pytest.mark.parametrize(("length", "floor"), [(64, 0.0), (4096, 0.0), (4096, 0.2)])
def test_fresh_filters_have_an_energy_of_one_at_any_length(length, floor):
    sizes = {"hidden_size": 32, "filter_size": 64, "filter_features": 33}
    sizes |= {"max_position_embeddings": length, "window_floor": floor}
    torch.manual_seed(0)
    model = HyenaForCausalLM(HyenaConfig(**{**TINY, **sizes}))
    with torch.no_grad():
        energy = model.model.layers[0].operator.filter(length).square().sum(-1)
    assert energy.mean().item() == pytest.approx(1.0, rel=0.15)


@pytest.mark.parametrize("cls", [HyenaForCausalLM, HyenaForSequenceClassification])
@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_is_as_if_it_were_not_there(cls, side):
    model, ids, pad = build(cls), draw(1, 10), torch.zeros(1, 6, dtype=torch.long)
    padded, mask = (
        torch.cat([pad, row] if side == "left" else [row, pad], dim=1) for row in (ids, torch.ones_like(ids))
    )
    with torch.no_grad():
        alone, beside = model(ids).logits, model(padded, attention_mask=mask).logits
    if cls is HyenaForCausalLM:
        beside = beside[:, 6:] if side == "left" else beside[:, :10]
    torch.testing.assert_close(alone, beside, rtol=1e-3, atol=1e-5)


def test_it_generates_what_it_predicts_alone_or_in_a_padded_batch():
    model, ids = build(HyenaForCausalLM), draw(2, 6)
    expected = ids
    for _ in range(8):
        expected = torch.cat([expected, model(expected).logits[:, -1:].argmax(-1)], dim=1)
    assert torch.equal(model.generate(ids, max_new_tokens=8, do_sample=False), expected)
    assert torch.equal(model.generate(ids, max_new_tokens=8, do_sample=False, use_cache=True), expected)
    padded = torch.nn.functional.pad(ids, (3, 0))
    mask = torch.nn.functional.pad(torch.ones_like(ids), (3, 0))
    batch = model.generate(padded, attention_mask=mask, max_new_tokens=8, do_sample=False)
    assert torch.equal(batch[:, 3:], expected)
    assert model.generate(ids, max_new_tokens=4, num_beams=2, do_sample=False).shape == (2, 10)


@pytest.mark.parametrize(
    ("cls", "auto"),
    [
        (HyenaForCausalLM, AutoModelForCausalLM),
        (HyenaForSequenceClassification, AutoModelForSequenceClassification),
    ],
)
def test_it_is_saved_and_loaded_with_the_hosts_auto_classes(cls, auto, tmp_path):
    model = build(cls, num_labels=3) if cls is HyenaForSequenceClassification else build(cls)
    model.save_pretrained(tmp_path)
    loaded, found = auto.from_pretrained(tmp_path, output_loading_info=True)
    assert type(loaded) is cls
    assert not found["missing_keys"]
    assert not found["unexpected_keys"]
    assert type(AutoConfig.from_pretrained(tmp_path)) is HyenaConfig
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), loaded.parameters(), strict=True))


def test_a_language_models_body_is_kept_under_a_classifiers_head(tmp_path):
    old = build(HyenaForCausalLM)
    old.save_pretrained(tmp_path)
    config = load_config(str(tmp_path), head="sequence-classification")
    model, new = load_with_new_head(str(tmp_path), config, head="sequence-classification")
    assert new == ["score.weight"]
    body = model.model.state_dict()
    assert all(torch.equal(value, body[name]) for name, value in old.model.state_dict().items())


def test_checkpointed_gradients_are_the_gradients():
    model, ids = build(HyenaForCausalLM).train(), draw(2, 12)
    twin = copy.deepcopy(model)
    twin.gradient_checkpointing_enable()
    for each in (model, twin):
        each(ids, labels=ids).loss.backward()
    for ours, theirs in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)
    assert all(param.grad.abs().sum() > 0 for param in model.parameters())


def test_filters_are_computed_in_float32_by_weights_of_any_precision():
    model = build(HyenaForCausalLM, max_position_embeddings=4096, vocab_size=64)
    filters = model.model.layers[0].operator.filter
    with torch.no_grad():
        exact = filters(4096)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(filters(4096), exact)
            assert model(draw(1, 8)).logits.isfinite().all()
        half = copy.deepcopy(model).to(torch.bfloat16)
        exact = copy.deepcopy(half).float().model.layers[0].operator.filter(4096)
        assert torch.equal(half.model.layers[0].operator.filter(4096), exact)
        assert half(draw(1, 8)).logits.dtype is torch.bfloat16


def test_a_row_longer_than_the_filters_is_refused():
    with pytest.raises(ValueError, match=r"rows must have at most 24 tokens, .*, got 25"):
        build(HyenaForCausalLM)(draw(1, 25))


@pytest.mark.parametrize(
    ("field", "complaint"),
    [
        ({"order": 0}, "order must be at least 1, got 0"),
        ({"filter_features": 4}, "filter_features must be odd, got 4"),
        ({"fast_decay": 2.0}, "fast_decay must be above 0 and at most slow_decay, got 2.0 and 1.5"),
    ],
)
def test_a_filter_that_cannot_be_made_is_refused(field, complaint):
    with pytest.raises(Exception, match=complaint):
        HyenaConfig(**{**TINY, **field})


def test_a_fresh_model_guesses_all_tokens_alike_and_adds_little_to_its_residuals():
    torch.manual_seed(0)
    model = HyenaForCausalLM(HyenaConfig(**{**TINY, "hidden_size": 32}))
    assert model(draw(4, 24), labels=draw(4, 24)).loss.item() == pytest.approx(math.log(64), abs=0.1)
    for layer in model.model.layers:
        for last in (layer.operator.out_proj, layer.down_proj):  # 0.02 over the root of two residuals in two layers
            assert last.weight.std().item() == pytest.approx(0.01, rel=0.1)
        assert layer.operator.short_conv.weight.abs().max().item() == pytest.approx(3**-0.5, rel=0.05)  # of three taps
