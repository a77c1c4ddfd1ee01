import pytest
from torch import nn

from hf_strategies.adapters.freezing import freeze, linear_probe
from hf_strategies.errors import UserError
from hf_strategies.optimizers import create_optimizer


def trained(model: nn.Module) -> set[str]:
    return {name for name, param in model.named_parameters() if param.requires_grad}


def test_patterns_freeze_what_they_find_anywhere_in_a_name(tiny_model):
    model = tiny_model("bert")
    frozen = freeze(model, ["embeddings", r"layer\.0\."])
    assert len(frozen) == 5 + 16  # three tables and a norm's two; six linear layers and two norms, two each
    assert trained(model) == {name for name, _ in model.named_parameters()} - set(frozen)
    assert all("embeddings" in name or "layer.0." in name for name in frozen)
    create_optimizer("adamw", model, lr=1e-3)  # which refuses what is owned twice, or trainable and not owned


@pytest.mark.parametrize(
    ("patterns", "complaint"),
    [
        (["embedings"], r"freeze: 'embedings' matches no parameter; the nearest are bert\.embeddings"),
        (["layer.0", "layr.1"], r"freeze: 'layr\.1' matches no parameter"),
        (["("], r"freeze: '\(' is no regular expression"),
        (["bert", "classifier"], "freeze: bert, classifier leave nothing of BertForSequenceClassification to train"),
    ],
)
def test_a_pattern_that_does_not_fit_is_refused_and_freezes_nothing(patterns, complaint, tiny_model):
    model = tiny_model("bert")
    with pytest.raises(UserError, match=complaint):
        freeze(model, patterns)
    assert len(trained(model)) == len(list(model.parameters()))


@pytest.mark.parametrize(
    ("architecture", "heads"),
    [("bert", ["classifier"]), ("vit", ["classifier"]), ("distilbert", ["pre_classifier", "classifier"])],
)
def test_a_linear_probe_trains_the_head_alone(architecture, heads, tiny_model):
    model = tiny_model(architecture)
    assert set(linear_probe(model)) == trained(model)
    assert {name.split(".")[0] for name in trained(model)} == set(heads)


def test_a_probe_looks_through_no_random_pooler(tiny_model):
    model = tiny_model("bert")
    linear_probe(model, ["bert.pooler.dense.weight", "bert.pooler.dense.bias", "classifier.weight"])
    assert {name.rpartition(".")[0] for name in trained(model)} == {"classifier", "bert.pooler.dense"}


def test_a_language_model_has_no_head_to_probe_with(tiny_model):
    with pytest.raises(UserError, match="the head that a task adds, and LlamaForCausalLM has none"):
        linear_probe(tiny_model("llama"))
