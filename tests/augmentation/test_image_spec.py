import sys

import pytest

from hf_strategies.augmentation import ImageSpec, parse_image_spec
from hf_strategies.augmentation.spec import Step
from hf_strategies.augmentation.vision_package import kornia
from hf_strategies.errors import MissingPackageError, UserError


def test_nothing_said_changes_nothing():
    assert parse_image_spec() == parse_image_spec([], None) == ImageSpec()


def test_what_yaml_gives_becomes_a_specification_in_its_order():
    written = ["trivial_augment", {"name": "random_erasing", "probability": 0.25}]
    assert parse_image_spec(written, {"name": "cutmix", "alpha": 1, "probability": 0.5}) == ImageSpec(
        (Step("trivial_augment"), Step("random_erasing", {"probability": 0.25})),
        Step("cutmix", {"alpha": 1, "probability": 0.5}),
    )


@pytest.mark.parametrize(
    ("augmentation", "mix", "complaint"),
    [
        ("trivial_augment", None, "image_augmentation must be a list such as [{name: horizontal_flip}], got 'trivial"),
        ({"name": "random_crop"}, None, "image_augmentation must be a list such as"),
        ([{"padding": 4}], None, "image_augmentation must say a name, as in {name: horizontal_flip}, got {'padding'"),
        ([3], None, "image_augmentation must say a name, as in {name: horizontal_flip}, got 3"),
        (["trivialaugment"], None, "unknown image augmentation 'trivialaugment', did you mean 'trivial_augment'?"),
        (["cutmix"], None, "unknown image augmentation 'cutmix'"),
        (
            [{"name": "random_crop", "pad": 4}],
            None,
            "random_crop has no setting 'pad', did you mean 'padding'? (known:",
        ),
        ([{"name": "trivial_augment", "n": 4}], None, "trivial_augment has no setting 'n' (it has none)"),
        ([{"name": "random_crop", "padding": 0}], None, "padding of random_crop must be a whole number >= 1, or none"),
        ([{"name": "horizontal_flip", "probability": 2}], None, "must be a number in [0, 1], got 2"),
        ([{"name": "rand_augment", "magnitude": 31}], None, "must be a whole number in [0, 30], got 31"),
        ([{"name": "rand_augment", "magnitude": True}], None, "must be a whole number in [0, 30], got True"),
        ([{"name": "rand_augment", "num_operations": 0}], None, "must be a whole number >= 1, got 0"),
        (
            [{"name": "random_erasing", "area": [0.4, 0.02]}],
            None,
            "two shares of the image in (0, 1], the smaller one",
        ),
        ([{"name": "random_erasing", "area": [0, 0.5]}], None, "two shares of the image in (0, 1]"),
        ([{"name": "random_erasing", "area": 0.5}], None, "two shares of the image in (0, 1]"),
        (["random_crop", {"name": "random_crop"}], None, "image_augmentation has random_crop more than once"),
        (None, "cutmx", "unknown way of mixing images 'cutmx', did you mean 'cutmix'?"),
        (None, {"name": "mixup", "alpha": 0}, "image_mix: alpha of mixup must be a number above 0, got 0"),
        (None, ["mixup"], "image_mix must say a name, as in {name: cutmix}, got ['mixup']"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(augmentation, mix, complaint):
    with pytest.raises(UserError) as caught:
        parse_image_spec(augmentation, mix)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_package_that_is_not_installed_is_missed_when_the_recipe_is_read_and_when_it_is_used(monkeypatch):
    monkeypatch.setitem(sys.modules, "kornia", None)
    parse_image_spec(["random_crop"], "mixup")  # needs none
    with pytest.raises(MissingPackageError, match=r"'trivial_augment' needs .* kornia: pip install .*\[vision\]"):
        parse_image_spec(["trivial_augment"])
    with pytest.raises(MissingPackageError, match=r"needs the package kornia: pip install .*\[vision\]"):
        kornia()
