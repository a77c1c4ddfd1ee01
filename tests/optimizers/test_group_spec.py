import pytest

from hf_strategies.errors import UserError
from hf_strategies.optimizers.group_spec import GroupRule, GroupSpec, check_group_settings, parse_group_spec


def test_nothing_said_is_the_default():
    assert parse_group_spec(None) == parse_group_spec({}) == GroupSpec()
    assert parse_group_spec({"decay_embeddings": None, "rules": None}) == GroupSpec()


def test_a_mapping_as_yaml_gives_it_becomes_a_specification():
    rules = [{"pattern": "norm", "lr": 1, "weight_decay": 0.1}, {"pattern": "head", "optimizer": "adamw"}]
    assert parse_group_spec({"decay_embeddings": False, "layerwise_lr_decay": 0.75, "rules": rules}) == GroupSpec(
        decay_embeddings=False,
        layerwise_lr_decay=0.75,
        rules=(GroupRule(pattern="norm", lr=1, weight_decay=0.1), GroupRule(pattern="head", optimizer="adamw")),
    )


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ("layerwise_lr_decay", "param_groups must be a mapping, got 'layerwise_lr_decay'"),
        ({"layer_decay": 1}, "param_groups has no setting 'layer_decay', did you mean 'layerwise_lr_decay'? (known: "),
        ({"layerwise_lr_decay": 0}, "param_groups: layerwise_lr_decay must be a number in (0, 1], got 0"),
        ({"layerwise_lr_decay": 1.5}, "layerwise_lr_decay must be a number in (0, 1], got 1.5"),
        ({"layerwise_lr_decay": True}, "layerwise_lr_decay must be a number in (0, 1], got True"),
        ({"lora_plus_ratio": 0.5}, "param_groups: lora_plus_ratio must be a finite number >= 1, got 0.5"),
        ({"decay_embeddings": "no"}, "param_groups: decay_embeddings must be true or false, got 'no'"),
        ({"rules": {"pattern": "norm"}}, "rules must be a list of mappings such as {pattern: norm, lr: 1e-3}, got"),
        ({"rules": ["norm"]}, "rules must be a list of mappings such as {pattern: norm, lr: 1e-3}, got ['norm']"),
        ({"rules": [{"patern": "a", "lr": 1}]}, "rule 1 has no setting 'patern', did you mean 'pattern'?"),
        ({"rules": [{"lr": 1}]}, "param_groups rule 1 has no pattern"),
        ({"rules": [{"pattern": 3, "lr": 1}]}, "rule 1: pattern must be a regular expression, got 3"),
        ({"rules": [{"pattern": "(", "lr": 1}]}, "param_groups rule '(' is no regular expression: missing ), "),
        ({"rules": [{"pattern": "a"}]}, "param_groups rule 'a' changes nothing"),
        ({"rules": [{"pattern": "a", "lr": 1, "lr_scale": 2}]}, "rule 'a': lr and lr_scale cannot both be given"),
        ({"rules": [{"pattern": "a", "lr": -1}]}, "rule 'a': lr must be a number in [0, 10], got -1"),
        ({"rules": [{"pattern": "a", "lr": 1e5}]}, "rule 'a': lr must be a number in [0, 10], got 100000.0"),
        ({"rules": [{"pattern": "a", "lr": True}]}, "rule 'a': lr must be a number in [0, 10], got True"),
        ({"rules": [{"pattern": "a", "lr_scale": "x"}]}, "rule 'a': lr_scale must be a finite number >= 0, got 'x'"),
        ({"rules": [{"pattern": "a", "weight_decay": -0.1}]}, "rule 'a': weight_decay must be a finite number >= 0"),
        ({"rules": [{"pattern": "a", "optimizer": "sgd"}]}, "optimizer must be one of matrix, adamw, got 'sgd'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(settings, complaint):
    with pytest.raises(UserError) as caught:
        parse_group_spec(settings)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_half_can_only_be_chosen_where_there_are_two():
    settings = {"rules": [{"pattern": "lm_head", "optimizer": "matrix"}]}
    check_group_settings("muon", settings)
    with pytest.raises(UserError, match="optimizer must be left out, got 'matrix': lion has no matrix half"):
        check_group_settings("lion", settings)
