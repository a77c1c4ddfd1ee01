from types import SimpleNamespace

import pytest

from hf_strategies.arguments.tuning_topics import WeightArguments
from hf_strategies.distributed.pipeline.place import Place
from hf_strategies.errors import UserError
from hf_strategies.runs.tuned_stages import stage_to_load

PIPELINE = SimpleNamespace(deepspeed={"pipeline": {"stages": 2}}, process_index=1)


@pytest.fixture(autouse=True)
def two_processes(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")


@pytest.mark.parametrize("adapter", [None, "lora"])
def test_a_stage_loads_what_is_its_own(adapter):
    assert stage_to_load(WeightArguments(adapter=adapter), PIPELINE) == Place(1, 2, 1)


@pytest.mark.parametrize("weights", [{"adapter": "pissa"}, {"reinitialize_blocks": 1}])
def test_what_starts_from_the_weights_is_shown_all_of_them(weights):
    assert stage_to_load(WeightArguments(**weights), PIPELINE) is None


def test_without_a_pipeline_all_is_loaded():
    plain = SimpleNamespace(deepspeed={"zero_optimization": {"stage": 1}}, process_index=1)
    assert stage_to_load(WeightArguments(quantization="nf4", merge_adapter=True), plain) is None


@pytest.mark.parametrize("weights", [{"quantization": "nf4"}, {"merge_adapter": True}])
def test_what_takes_a_whole_model_is_refused(weights):
    (name,) = weights
    with pytest.raises(UserError, match=f"{name} takes the whole model, and a pipeline spreads it over stages"):
        stage_to_load(WeightArguments(**weights), PIPELINE)
