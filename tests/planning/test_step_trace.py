"""What a step keeps in memory, against what autograd says that it saves."""

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from hf_strategies.models import ARCHITECTURES
from hf_strategies.planning.memory_request import parse_memory
from hf_strategies.planning.planned_model import PlannedModel
from hf_strategies.planning.step_trace import trace_evaluation

SMALL = {"max_seq_length": 16, "vocab_size": 64, "global_batch_size": 2, "hidden_size": 32, "num_hidden_layers": 2}
TEXT = {
    entry.name: objective
    for entry in ARCHITECTURES
    for objective in entry.facts["objectives"]
    if objective in ("causal", "masked", "span")
}


def plan(**settings) -> PlannedModel:
    flags = [word for name, value in {**SMALL, **settings}.items() for word in (f"--{name}", str(value))]
    return PlannedModel(parse_memory(flags))


def saved_bytes(planned: PlannedModel, rows: int, *, autocast: torch.dtype) -> int:
    """Sum what autograd keeps of a real step, the weights aside; what several operations keep counts once."""
    model = planned.build()
    model.train()
    known = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    batch = planned.inputs(rows)
    known |= {value.untyped_storage().data_ptr() for value in batch.values()}
    precision = torch.autocast("cpu", dtype=autocast, enabled=autocast is not torch.float32)
    with saved_tensors_hooks(pack, lambda tensor: tensor), precision:
        loss = model(**batch).loss
    assert loss.requires_grad
    return sum(kept.values())


@pytest.mark.parametrize("architecture", ["transformer_pp", "gpt2", "bert", "t5"])
@pytest.mark.parametrize("autocast", [torch.float32, torch.bfloat16])
def test_activations_are_what_autograd_saves(architecture, autocast):
    planned = plan(architecture=architecture, objective=TEXT[architecture], num_attention_heads=2)
    trace = planned.trace(2, weights=torch.float32, autocast=autocast, recompute=False)
    assert trace.activations == pytest.approx(saved_bytes(planned, 2, autocast=autocast), rel=0.02)


def test_rows_are_alike_and_gradients_stay():
    planned = plan(num_attention_heads=2)
    two, four = (
        planned.trace(rows, weights=torch.float32, autocast=torch.float32, recompute=False) for rows in (2, 4)
    )
    assert four.activations == pytest.approx(2 * two.activations, rel=0.02)
    weights = 4 * sum(param.numel() for param in planned.sketch().parameters())
    assert two.activations < two.first < two.later <= two.first + weights


def test_recomputing_keeps_the_borders_of_blocks_alone():
    planned = plan(num_attention_heads=2, num_hidden_layers=8)
    kept, lean = (
        planned.trace(2, weights=torch.float32, autocast=torch.float32, recompute=recompute)
        for recompute in planned.ways
    )
    borders = 8 * 2 * 16 * 32 * 4  # blocks x rows x tokens x width x bytes
    assert borders < lean.activations < 3 * borders < kept.activations
    assert lean.first < kept.first


def test_half_the_bytes_of_a_weight_are_half_its_gradient():
    planned = plan(num_attention_heads=2)
    weights = sum(param.numel() for param in planned.sketch().parameters())
    low = planned.trace(2, weights=torch.bfloat16, autocast=torch.float32, recompute=False)
    full = planned.trace(2, weights=torch.float32, autocast=torch.float32, recompute=False)
    assert low.activations < 0.75 * full.activations  # norms and the loss are in float32 all the same
    assert full.later - low.later > 2 * weights


def test_an_evaluation_keeps_nothing_but_what_it_works_on():
    planned = plan(num_attention_heads=2, vocab_size=512)
    peak = trace_evaluation(planned.sketch(), lambda: planned.inputs(2), autocast=torch.float32)
    logits = 2 * 16 * 512 * 4
    assert 2 * logits <= peak < 4 * logits  # the loss is computed on a copy that is shifted by a token


@pytest.mark.parametrize("architecture", sorted(TEXT))
def test_every_architecture_that_reads_text_can_be_planned(architecture):
    planned = plan(architecture=architecture, objective=TEXT[architecture])
    for recompute in planned.ways:
        trace = planned.trace(2, weights=torch.float32, autocast=torch.float32, recompute=recompute)
        assert 0 < trace.activations <= trace.first <= trace.later
