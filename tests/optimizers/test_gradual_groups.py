"""Groups of parameters that join a run late, from the top of the model to its embeddings."""

import pytest
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import BertConfig, BertForSequenceClassification, LlamaConfig, LlamaForCausalLM

from hf_strategies.errors import UserError
from hf_strategies.optimizers import create_optimizer
from hf_strategies.optimizers.group_spec import parse_group_spec

SIZES = {"vocab_size": 32, "hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 16, "num_hidden_layers": 3}


def classifier() -> BertForSequenceClassification:
    return BertForSequenceClassification(BertConfig(**SIZES))


def intervals_by_name(model: nn.Module, **param_groups) -> dict[str, int]:
    optimizer = create_optimizer("adamw", model, lr=1e-3, weight_decay=0.1, param_groups=param_groups)
    waiting = {}
    for group in optimizer.param_groups:
        intervals, length = group.get("joins_after", [0, param_groups["unfreeze_every"]])
        assert length == param_groups["unfreeze_every"]
        waiting |= dict.fromkeys(group["params"], intervals)
    return {name: waiting[param] for name, param in model.named_parameters()}


def by_part(intervals: dict[str, int]) -> dict[str, set[int]]:
    parts: dict[str, set[int]] = {}
    for name, count in intervals.items():
        part = next((p for p in ("embeddings", "layer.0", "layer.1", "layer.2", "pooler") if p in name), "classifier")
        parts.setdefault(part, set()).add(count)
    return parts


def test_the_head_comes_first_then_blocks_from_the_top_then_embeddings():
    found = by_part(intervals_by_name(classifier(), unfreeze_every="1 epoch"))
    assert found == {
        "classifier": {0},
        "pooler": {0},
        "layer.2": {1},
        "layer.1": {2},
        "layer.0": {3},
        "embeddings": {4},
    }


def test_top_blocks_may_train_from_the_start():
    found = by_part(intervals_by_name(classifier(), unfreeze_every=50, unfrozen_at_start=2))
    assert found["layer.2"] == found["layer.1"] == found["classifier"] == {0}
    assert (found["layer.0"], found["embeddings"]) == ({1}, {2})


def test_rates_per_layer_go_with_it():
    optimizer = create_optimizer(
        "adamw", classifier(), lr=1.0, param_groups={"unfreeze_every": 10, "layerwise_lr_decay": 0.5}
    )
    rates = {group["joins_after"][0] if "joins_after" in group else 0: group["lr"] for group in optimizer.param_groups}
    assert rates == {0: 1.0, 1: 0.5, 2: 0.25, 3: 0.125, 4: 0.0625}


def test_the_first_group_whose_rate_is_logged_trains_from_the_start():
    optimizer = create_optimizer("muon", classifier(), lr=1e-3, param_groups={"unfreeze_every": 10})
    assert "joins_after" not in optimizer.param_groups[0]
    assert any("joins_after" in group for group in optimizer.param_groups)


def test_what_trains_at_all_trains_from_the_start_where_nothing_above_does():
    model = LlamaForCausalLM(LlamaConfig(**SIZES))
    model = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM"))
    optimizer = create_optimizer("adamw", model, lr=1e-3, param_groups={"unfreeze_every": 10})
    waiting = {group["name"]: group.get("joins_after", [0])[0] for group in optimizer.param_groups}
    assert waiting == {"block 2 weights": 0, "block 1 weights": 1, "block 0 weights": 2}


def test_a_head_that_shares_the_embedding_joins_last():
    model = LlamaForCausalLM(LlamaConfig(**SIZES, tie_word_embeddings=True))
    intervals = intervals_by_name(model, unfreeze_every=10)
    assert intervals["model.norm.weight"] == 0
    assert intervals["model.embed_tokens.weight"] == 4


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"unfreeze_every": 0}, 'unfreeze_every must be a length such as 100 or "1 epoch", got 0'),
        ({"unfreeze_every": True}, "unfreeze_every must be a length"),
        ({"unfreeze_every": 1, "unfrozen_at_start": -1}, "unfrozen_at_start must be a whole number >= 0, got -1"),
        ({"unfrozen_at_start": 1}, "unfrozen_at_start means something only beside unfreeze_every, got none"),
        ({"unfreez_every": 1}, "did you mean 'unfreeze_every'"),
    ],
)
def test_what_makes_no_sense_is_refused(settings, complaint):
    with pytest.raises(UserError, match=complaint):
        parse_group_spec(settings)


def test_a_model_without_layers_is_refused():
    with pytest.raises(UserError, match=r"unfreeze_every finds no layers in Linear: .* give rules instead"):
        create_optimizer("adamw", nn.Linear(2, 2), lr=1e-3, param_groups={"unfreeze_every": 10})
