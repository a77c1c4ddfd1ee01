import pytest
from transformers import BertConfig, BertForSequenceClassification

from hf_strategies.errors import UserError
from hf_strategies.module_tree.names import named_parameters
from hf_strategies.optimizers.group_spec import GroupRule
from hf_strategies.optimizers.rule_matching import match_rules


def classifier() -> BertForSequenceClassification:
    sizes = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    return BertForSequenceClassification(BertConfig(vocab_size=32, **sizes))


def test_a_pattern_is_searched_for_anywhere():
    rule = GroupRule(pattern=r"layer\.1\..*bias$", lr=1.0)
    owners = match_rules([rule], named_parameters(classifier()))
    assert set(owners.values()) == {rule}
    assert all(name.startswith("bert.encoder.layer.1.") and name.endswith("bias") for name in owners)
    assert len(owners) == 8  # query, key, value, their output, two of the feed-forward, two norms


@pytest.mark.parametrize(
    ("patterns", "complaint"),
    [
        (["clasifier"], "rule 'clasifier' matches no parameter; the nearest are classifier.weight, classifier.bias"),
        (["qurey"], "the nearest are bert.encoder.layer.0.attention.self.query.weight"),
        (["pooler", "dense"], "rules 'pooler' and 'dense' both match bert.pooler.dense.weight"),
        (["embeddings.word"], "matches only frozen weights, such as bert.embeddings.word_embeddings.weight"),
    ],
)
def test_a_rule_that_does_not_fit_is_refused(patterns, complaint):
    model = classifier()
    model.bert.embeddings.requires_grad_(False)
    with pytest.raises(UserError) as caught:
        match_rules([GroupRule(pattern=pattern, lr=1.0) for pattern in patterns], named_parameters(model))
    assert complaint in str(caught.value)


def test_frozen_weights_among_others_are_passed_over():
    model = classifier()
    model.classifier.weight.requires_grad_(False)
    assert set(match_rules([GroupRule(pattern="classifier", lr=1.0)], named_parameters(model))) == {"classifier.bias"}
