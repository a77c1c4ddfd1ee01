from dataclasses import MISSING, fields
from enum import Enum

import pytest
from transformers import TrainingArguments

from hf_strategies.arguments.host import NOT_SETTINGS, host_settings
from hf_strategies.arguments.settings import UNKNOWN

BY_NAME = {setting.name: setting for setting in host_settings()}


def test_every_field_of_training_arguments_is_there():
    assert BY_NAME.keys() | NOT_SETTINGS == {item.name for item in fields(TrainingArguments) if item.init}


@pytest.mark.parametrize(
    "item", [item for item in fields(TrainingArguments) if item.name in BY_NAME], ids=lambda i: i.name
)
def test_a_default_that_is_read_from_source_is_the_real_one(item):
    read = BY_NAME[item.name].default
    if read is UNKNOWN or item.default is MISSING:
        return
    real = item.default.value if isinstance(item.default, Enum) else item.default
    assert read == real


def test_the_values_of_an_enumeration_are_choices():
    assert BY_NAME["eval_strategy"].choices == ("no", "steps", "epoch")
    assert "adamw_torch_fused" in BY_NAME["optim"].choices


def test_most_settings_have_a_sentence_of_help():
    assert sum(bool(setting.help) for setting in BY_NAME.values()) > 0.9 * len(BY_NAME)


def test_percent_signs_are_those_of_a_reader():
    assert not any("%%" in setting.help for setting in BY_NAME.values())
    assert any("%" in setting.help for setting in BY_NAME.values())
