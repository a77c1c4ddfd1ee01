import pytest

from hf_strategies.distributed.pipeline.place import Place, asked_place
from hf_strategies.distributed.pipeline.plan import own_units, pipeline_plan, split_units, units_of
from hf_strategies.distributed.pipeline.weights import leave_to_other_stages, names_of_stages
from hf_strategies.errors import UserError


def stages_of(model, num: int):
    units = units_of(model, pipeline_plan(model))
    return units, split_units(units, num, "parameters")


def test_every_weight_is_saved_by_one_stage_and_a_tied_one_by_the_first(build):
    model = build("llama")
    first, second = names_of_stages(model, *stages_of(model, 2))
    assert "model.embed_tokens.weight" in first
    assert "model.norm.weight" in second
    assert sorted([*first, *second, "lm_head.weight"]) == sorted(model.state_dict())
    assert {name.split(".")[2] for name in first if "layers" in name} == {"0", "1"}


def test_a_stage_that_has_let_go_of_others_knows_as_well_who_saves_what(build):
    model = build("llama")
    expected = names_of_stages(model, *stages_of(model, 3))
    leave_to_other_stages(model, own_units(model, pipeline_plan(model), Place(1, 3, 1)))
    assert names_of_stages(model, *stages_of(model, 3)) == expected


@pytest.mark.parametrize(("stage", "tied_is_here"), [(0, True), (1, False), (2, True)])
def test_weights_of_others_go_and_tied_ones_stay_tied(build, stage, tied_is_here):
    model = build("llama")
    count = sum(param.numel() for param in model.parameters())
    leave_to_other_stages(model, own_units(model, pipeline_plan(model), Place(stage, 3, 1)))
    embedding = model.model.embed_tokens.weight
    assert embedding is model.lm_head.weight
    assert embedding.is_meta is not tied_is_here
    assert sum(param.numel() for param in model.parameters()) == count
    assert all(param.requires_grad for param in model.parameters())
    blocks = [not next(block.parameters()).is_meta for block in model.model.layers]
    assert any(blocks)
    assert not all(blocks)


def test_replicas_of_a_stage_stand_side_by_side(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "6")
    settings = {"pipeline": {"stages": 2, "partition": "uniform"}}
    places = [asked_place(settings, rank=rank) for rank in range(6)]
    assert [(place.stage, place.replica) for place in places] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    assert places[0].partition == "uniform"
    assert asked_place({}, rank=0) is None
    assert asked_place(None, rank=0) is None
    with pytest.raises(UserError, match="6 processes do not divide into replicas of 4"):
        asked_place({"pipeline": {"stages": 4}}, rank=0)
