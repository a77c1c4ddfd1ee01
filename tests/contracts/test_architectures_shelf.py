"""Every architecture on the shelf: the sizes that were asked for, documents kept apart, learning, and a round trip."""

import pytest
import torch
from transformers import AutoModelForCausalLM

from hf_strategies.models import ARCHITECTURES, resolve_sizes
from hf_strategies.models.factory import create_config, create_model

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
TOKENS = {"bos_token_id": None, "eos_token_id": 0, "pad_token_id": 0}


@pytest.fixture(params=ARCHITECTURES.names())
def name(request) -> str:
    return request.param


@pytest.fixture
def model(name):
    torch.manual_seed(0)
    sizes, _ = resolve_sizes(name, SIZES)
    return create_model(create_config(name, vocab_size=64, max_seq_length=16, sizes=sizes, tokens=TOKENS))


def test_it_has_the_sizes_that_were_asked_for(model):
    assert {size: getattr(model.config, size) for size in SIZES} == SIZES
    assert model.get_input_embeddings().weight.shape == (64, 32)
    assert model.config.max_position_embeddings == 16


def test_it_learns_a_sentence_by_heart(model):
    ids = torch.arange(1, 17).repeat(4, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(40):
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert loss < 0.1


def test_documents_are_kept_apart_where_the_entry_says_so(name, model):
    if not ARCHITECTURES[name].facts["isolates_documents"]:
        pytest.skip(f"{name} carries its state across documents, as its entry says")
    model.eval()
    ids = torch.randint(1, 64, (1, 16), generator=torch.Generator().manual_seed(0))
    positions = torch.tensor([[*range(6), *range(10)]])
    other = ids.clone()
    other[:, :6] = other[:, :6].flip(1)
    with torch.no_grad():
        first, second = (model(input_ids=x, position_ids=positions, use_cache=False).logits for x in (ids, other))
    torch.testing.assert_close(first[:, 6:], second[:, 6:])
    assert not torch.allclose(first[:, :6], second[:, :6])


def test_it_is_saved_and_loaded(model, tmp_path):
    model.save_pretrained(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), loaded.parameters(), strict=True))
