"""Every architecture on the shelf: the sizes that were asked for, documents kept apart, learning, and a round trip."""

import pytest
import torch

from hf_strategies.distributed.pipeline.plan import pipeline_plan
from hf_strategies.errors import UserError
from hf_strategies.models import ARCHITECTURES, resolve_sizes
from hf_strategies.models.factory import create_config, create_model, load_config, load_model
from hf_strategies.models.heads import HEAD_OF, HEADS, pretraining_objective
from hf_strategies.models.isolation import why_texts_meet
from hf_strategies.tasks import TASKS

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
TOKENS = {"bos_token_id": None, "eos_token_id": 0, "pad_token_id": 0}
MASK = 63


@pytest.fixture(params=ARCHITECTURES.names())
def name(request) -> str:
    return request.param


@pytest.fixture
def objective(name) -> str:
    return ARCHITECTURES[name].facts["objectives"][0]


@pytest.fixture
def head(objective) -> str:
    return HEAD_OF.get(objective) or TASKS[objective].build.head


@pytest.fixture
def asked(name) -> dict[str, int]:
    """The sizes of a tiny model; an architecture that has few depths is as shallow as it can be."""
    depths = ARCHITECTURES[name].facts.get("depths", (2,))
    return {**SIZES, "num_hidden_layers": depths[0]}


@pytest.fixture
def model(name, asked, objective, head):
    torch.manual_seed(0)
    sizes, _ = resolve_sizes(name, asked)
    if objective in HEAD_OF:
        config = create_config(name, vocab_size=64, max_seq_length=16, sizes=sizes, tokens=TOKENS)
    else:
        config = create_config(name, image_size=8, num_channels=1, sizes=sizes)
    return create_model(config, head=head)


@pytest.fixture
def batch(objective) -> dict[str, torch.Tensor]:
    """Four examples of what the architecture is to learn."""
    ids = torch.arange(1, 17).repeat(4, 1)
    bright = torch.arange(4) % 2
    images = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0)) + bright[:, None, None, None]
    masked = ids.where(ids % 4 != 0, MASK)
    return {
        "causal": {"input_ids": ids, "labels": ids},
        "masked": {"input_ids": masked, "labels": ids.where(masked == MASK, -100)},
        "span": {"input_ids": masked, "labels": ids},
        "image-classification": {"pixel_values": images, "labels": bright},
        "clip-classification": {"pixel_values": images[:, None].repeat(1, 4, 1, 1, 1), "labels": bright},
    }[objective]


def test_it_has_the_sizes_that_were_asked_for(name, asked, model, objective):
    known = {size: value for size, value in asked.items() if size in ARCHITECTURES[name].facts["sizes"]}
    assert {size: getattr(model.config, size) for size in known} == known
    assert "hidden_size" in known
    if objective in HEAD_OF:
        assert model.get_input_embeddings().weight.shape == (64, 32)
    if objective in ("causal", "masked"):
        assert getattr(model.config, "max_position_embeddings", None) in (16, None)  # None: as long as you like


def test_its_objective_is_found_from_its_config(model, objective):
    assert pretraining_objective(model.config) == (objective if objective in HEAD_OF else None)


def test_it_learns_a_batch_by_heart(model, batch):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    while len(losses) < 300 and (not losses or losses[-1] > 0.1):
        loss = model(**batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.1


def test_documents_are_kept_apart_where_the_entry_says_so(name, model, objective):
    apart = ARCHITECTURES[name].facts["isolates_documents"]
    if objective != "causal":
        assert not apart
        return
    assert (why_texts_meet(model, rows=1) == "") == apart
    if not apart:
        return
    model.eval()
    ids = torch.randint(1, 64, (1, 16), generator=torch.Generator().manual_seed(0))
    positions = torch.tensor([[*range(6), *range(10)]])
    other = ids.clone()
    other[:, :6] = other[:, :6].flip(1)
    with torch.no_grad():
        first, second = (model(input_ids=x, position_ids=positions, use_cache=False).logits for x in (ids, other))
    torch.testing.assert_close(first[:, 6:], second[:, 6:])
    assert not torch.allclose(first[:, :6], second[:, :6])


def test_it_is_saved_and_loaded(model, head, tmp_path):
    model.save_pretrained(tmp_path)
    loaded = load_model(str(tmp_path), load_config(str(tmp_path), head=head), head=head)
    assert type(loaded) is type(HEADS[head].from_pretrained(tmp_path)) is type(model)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), loaded.parameters(), strict=True))


def test_a_pipeline_takes_it_or_says_what_to_take(name, model):
    if name in ("transformer_pp", "gpt2"):
        assert pipeline_plan(model).blocks
        return
    with pytest.raises(UserError, match=r"cannot be split into stages: .* one, transformer_pp or gpt2, .* or ZeRO"):
        pipeline_plan(model)
