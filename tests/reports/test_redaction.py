import pytest

from hf_strategies.reports.redaction import REDACTED, is_secret, redact_command, redact_value


@pytest.mark.parametrize(
    "name",
    [
        "hub_token",
        "token",
        "HF_TOKEN",
        "api_key",
        "wandb-api-key",
        "apikey",
        "aws_secret_access_key_id",
        "db_password",
    ],
)
def test_names_of_secrets_are_known(name):
    assert is_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        "num_key_value_heads",
        "tokenizer_name",
        "max_new_tokens",
        "tokens_per_step",
        "keyword",
        "subtoken",
        "token_type_ids",
    ],
)
def test_names_that_only_sound_like_secrets_are_shown(name):
    assert not is_secret(name)
    assert redact_value(name, 4) == 4


def test_a_secret_inside_a_mapping_is_found_and_an_empty_one_is_no_secret():
    given = {"endpoint": "eu", "auth": {"token": "hf_x", "password": None}}
    assert redact_value("hub_kwargs", given) == {"endpoint": "eu", "auth": {"token": REDACTED, "password": None}}
    assert given["auth"]["token"] == "hf_x"
    assert redact_value("hub_token", None) is None


def test_a_secret_inside_a_list_is_found_and_one_that_is_a_list_or_a_mapping_is_not_shown():
    given = [{"api_key": "s", "url": "eu"}, ({"token": "t"},)]
    assert redact_value("endpoints", given) == [{"api_key": REDACTED, "url": "eu"}, [{"token": REDACTED}]]
    assert redact_value("token", ["s", "t"]) == redact_value("password", {"eu": "s"}) == REDACTED


def test_the_command_line_keeps_its_words_and_loses_its_secrets():
    words = [
        "pretrain.py",
        "--hub_token",
        "hf_x",
        "--push_to_hub",
        "--hub-token=hf_y",
        "--lr=1e-3",
        "--hub_token",
        "--bf16",
    ]
    assert redact_command(words) == [
        "pretrain.py", "--hub_token", REDACTED, "--push_to_hub", f"--hub-token={REDACTED}", "--lr=1e-3", "--hub_token",
        "--bf16",
    ]  # fmt: skip
