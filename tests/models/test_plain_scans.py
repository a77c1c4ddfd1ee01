import copy
import pickle

import pytest
import torch
from transformers import MambaConfig, MambaForCausalLM, RwkvConfig, RwkvForCausalLM

from hf_strategies.models.plain_scans import recur, use_plain_scans, weighted_mean

MODELS = {
    "mamba": lambda: MambaForCausalLM(MambaConfig(vocab_size=64, hidden_size=16, num_hidden_layers=2, state_size=4)),
    "rwkv": lambda: RwkvForCausalLM(
        RwkvConfig(vocab_size=64, hidden_size=16, num_hidden_layers=2, rescale_every=0, use_cache=False)
    ),
}


@pytest.fixture(params=MODELS)
def pair(request):
    """A model with the host's loops, and its twin with ours."""
    torch.manual_seed(0)
    theirs = MODELS[request.param]().train()
    with torch.no_grad():
        for param in theirs.parameters():
            param.add_(0.3 * torch.randn_like(param))
    ours = copy.deepcopy(theirs)
    use_plain_scans(ours)
    return theirs, ours


def draw(*shape: int) -> torch.Tensor:
    return torch.randint(1, 64, shape, generator=torch.Generator().manual_seed(1))


def test_a_recurrence_and_its_gradients_are_those_of_a_loop():
    decay, inputs = (torch.rand(7, 2, 3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    state, states = torch.zeros(2, 3, dtype=torch.float64), []
    for t in range(7):
        state = decay[t] * state + inputs[t]
        states.append(state)
    torch.testing.assert_close(recur(decay, inputs), torch.stack(states))
    assert torch.autograd.gradcheck(recur, (decay, inputs))


def test_it_computes_what_the_host_computes_and_its_gradients(pair):
    ids, found = draw(2, 24), []
    for model in pair:
        out = model(ids, labels=ids)
        out.loss.backward()
        found.append((out.logits.detach(), [param.grad for param in model.parameters()]))
    (theirs, their_gradients), (ours, our_gradients) = found
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    for mine, other in zip(our_gradients, their_gradients, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-5)


def test_padding_counts_as_the_host_counts_it(pair):
    ids, mask = draw(2, 12), torch.ones(2, 12, dtype=torch.long)
    mask[1, :5] = 0
    with torch.no_grad():
        theirs, ours = (model(ids, attention_mask=mask).logits for model in pair)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_it_goes_on_from_a_state_as_the_host_does(pair):
    expected = pair[0].eval().generate(draw(1, 5), max_new_tokens=6, do_sample=False)
    for cached in (True, False):
        written = pair[1].eval().generate(draw(1, 5), max_new_tokens=6, do_sample=False, use_cache=cached)
        assert torch.equal(written, expected)


def test_large_keys_and_long_rows_overflow_nothing():
    keys = torch.tensor([0.0, 200.0, -200.0, 150.0]).repeat(500)[None, :, None].requires_grad_()
    values = torch.randn(1, 2000, 1)
    mean = weighted_mean(torch.tensor([5.0]), torch.tensor([0.5]), keys, values)
    mean.sum().backward()
    assert mean.isfinite().all()
    assert keys.grad.isfinite().all()
    torch.testing.assert_close(mean[0, 1], values[0, 1])  # e^200 times the weight of any other


def test_a_copy_scans_by_its_own_weights(pair):
    model = pair[1]
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        with torch.no_grad():
            for param in twin.parameters():
                param.zero_()
            assert not twin(draw(1, 6)).logits.any()
    assert model(draw(1, 6)).logits.any()
