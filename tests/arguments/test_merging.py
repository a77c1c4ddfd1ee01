import pytest

from hf_strategies.arguments.layers import Layer, Written
from hf_strategies.arguments.merging import merge
from hf_strategies.arguments.settings import Setting, parse_annotation

SETTINGS = {
    name: Setting(name=name, default=None, help="", topic="", **parse_annotation(text))
    for name, text in {
        "optimizer": "str | None",
        "optimizer_kwargs": "dict[str, Any] | None",
        "param_groups": "dict[str, Any] | None",
        "optim": "str",
        "architecture": "str | None",
        "model_name_or_path": "str | None",
        "hidden_size": "int | None",
        "tokenizer": "str | None",
        "vocab_size": "int | None",
        "learning_rate": "float",
    }.items()
}


def layer(label: str, **values) -> Layer:
    return Layer(label, {name: Written(value, f"{label}:{name}") for name, value in values.items()})


RECIPE = layer(
    "recipe", optimizer="muon", optimizer_kwargs={"momentum": 0.9, "nesterov": False}, architecture="transformer_pp",
    hidden_size=256, tokenizer="bpe", vocab_size=4096, learning_rate=4e-3,
)  # fmt: skip


def merged(*layers: Layer):
    problems: list[str] = []
    values, notes = merge([RECIPE, *layers], SETTINGS, problems)
    return {name: item.value for name, item in values.items()}, notes, problems


def test_the_highest_layer_wins():
    values, notes, _ = merged(layer("yaml", learning_rate=1e-3), layer("flags", learning_rate="2e-3"))
    assert values["learning_rate"] == 2e-3
    assert values["optimizer"] == "muon"
    assert notes == []


def test_another_optimizer_takes_the_settings_of_the_old_one_with_it():
    values, notes, _ = merged(layer("flags", optimizer="lion"))
    assert "optimizer_kwargs" not in values
    assert notes[0] == "optimizer lion (flags:optimizer) replaces optimizer_kwargs (recipe:optimizer_kwargs)"


@pytest.mark.parametrize("choice", [{"optimizer": "lion"}, {"optim": "sgd"}])
def test_a_rate_that_was_chosen_for_another_optimizer_is_said_once(choice):
    ((name, chosen),) = choice.items()
    *_, last = merged(layer("flags", **choice))[1]
    assert last == (
        f"learning_rate 0.004 (recipe:learning_rate) was chosen for muon: {chosen} (flags:{name}) may want another"
    )
    for own in (
        [layer("flags", **choice, learning_rate=1e-4)],
        [layer("yaml", **choice), layer("flags", learning_rate=1e-4)],
        [layer("yaml", **choice), layer("flags", optim=None, optimizer="muon")],
    ):
        assert not any("was chosen for" in note for note in merged(*own)[1])


def test_parameter_groups_refine_the_rate_and_stay_with_it():
    below = layer("yaml", param_groups={"layerwise_lr_decay": 0.75, "rules": [{"pattern": "norm", "lr": 1}]})
    values, notes, _ = merged(below, layer("flags", optimizer="lion", param_groups="layerwise_lr_decay=0.9"))
    assert values["param_groups"] == {"layerwise_lr_decay": 0.9, "rules": [{"pattern": "norm", "lr": 1}]}
    assert not any("param_groups" in note for note in notes)
    values, notes, _ = merged(below, layer("flags", optim="adamw_torch"))
    assert "param_groups" not in values
    assert "param_groups (yaml:param_groups)" in notes[0]


def test_settings_of_the_same_optimizer_add_up():
    values, notes, _ = merged(layer("flags", optimizer="muon", optimizer_kwargs="momentum=0.95"))
    assert values["optimizer_kwargs"] == {"momentum": 0.95, "nesterov": False}
    assert notes == []


def test_the_hosts_optimizer_replaces_ours_below_it():
    values, notes, problems = merged(layer("flags", optim="adamw_torch"))
    assert "optimizer" not in values
    assert "optimizer_kwargs" not in values
    assert values["optim"] == "adamw_torch"
    assert notes[0] == (
        "optim (flags:optim) replaces optimizer (recipe:optimizer), optimizer_kwargs (recipe:optimizer_kwargs)"
    )
    assert problems == []


def test_two_rivals_in_one_layer_are_an_error():
    *_, problems = merged(layer("flags", optim="adamw_torch", optimizer="muon"))
    assert problems == ["flags:optimizer: optimizer and optim cannot both be given; choose one"]


def test_a_checkpoint_replaces_architecture_sizes_and_tokenizer():
    values, *_ = merged(layer("flags", model_name_or_path="gpt2"))
    assert values.keys() & {"architecture", "hidden_size", "tokenizer", "vocab_size"} == set()


def test_null_takes_a_choice_back():
    values, _, problems = merged(layer("yaml", optimizer=None))
    assert values["optimizer"] is None
    assert problems == []


def test_every_bad_value_is_reported_at_once():
    *_, problems = merged(layer("yaml", learning_rte=1), layer("flags", learning_rate="fast", hidden_size="2.5"))
    assert problems == [
        "yaml:learning_rte: unknown setting 'learning_rte', did you mean 'learning_rate'?",
        "flags:learning_rate: learning_rate: expected a number, got 'fast'",
        "flags:hidden_size: hidden_size: expected a whole number, got '2.5'",
    ]
