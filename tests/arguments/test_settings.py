import pytest

from hf_strategies.arguments.settings import Setting, convert, parse_annotation


def setting(annotation: str) -> Setting:
    return Setting(name="x", default=None, help="", topic="", **parse_annotation(annotation))


@pytest.mark.parametrize(
    ("annotation", "written", "value"),
    [
        ("float", "2e-5", 2e-5),
        ("float", 3, 3.0),
        ("int", "300", 300),
        ("int", "1e3", 1000),
        ("int", "1_000", 1000),
        ("bool", "true", True),
        ("bool", "off", False),
        ("bool", False, False),
        ("str", "256", "256"),
        ("str", 256, "256"),
        ("float | None", None, None),
        ("float | None", "none", None),
        ("int | str", "12", 12),
        ("int | str", "auto", "auto"),
        ("list[str]", "a.txt", ["a.txt"]),
        ("list[str]", ["a.txt", "b.txt"], ["a.txt", "b.txt"]),
        ("str | list[str]", "none", "none"),
        ("dict[str, Any] | str | None", "ds_configs/zero2.json", "ds_configs/zero2.json"),
        ("dict[str, Any]", '{"momentum": 0.9}', {"momentum": 0.9}),
        ("dict[str, Any]", "momentum=0.9,nesterov=true,betas=[0.9, 0.95],lr=2e-5", {
            "momentum": 0.9, "nesterov": True, "betas": [0.9, 0.95], "lr": 2e-5,
        }),
        ("Literal['bpe', 'bytes'] | None", "bytes", "bytes"),
    ],
)  # fmt: skip
def test_what_is_written_becomes_a_value_of_its_type(annotation, written, value):
    assert convert(setting(annotation), written) == value
    assert type(convert(setting(annotation), written)) is type(value)


@pytest.mark.parametrize(
    ("annotation", "written", "expected"),
    [
        ("float", "fast", "expected a number, got 'fast'"),
        ("int", "2.5", "expected a whole number, got '2.5'"),
        ("int", True, "expected a whole number, got True"),
        ("int", "inf", "expected a whole number"),
        ("bool", "maybe", "expected true or false"),
        ("float", None, "expected a number, got nothing"),
        ("dict[str, Any]", "momentum", "expected a mapping"),
        ("dict[str, Any]", "{broken", "expected a mapping"),
        ("Literal['bpe', 'bytes']", "chars", "expected one of bpe, bytes, got 'chars'"),
        ("str", {"a": 1}, "expected a text"),
    ],
)
def test_anything_else_is_refused_with_what_was_expected(annotation, written, expected):
    with pytest.raises(ValueError, match=expected.replace("[", r"\[")):
        convert(setting(annotation), written)
