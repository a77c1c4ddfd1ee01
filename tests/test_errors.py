from hf_strategies.errors import MissingPackageError, UserError, did_you_mean


def test_a_typo_is_answered_with_the_nearest_name():
    assert did_you_mean("mounn", ["muon", "adamw"]) == ", did you mean 'muon'?"
    assert did_you_mean("zzz", ["muon", "adamw"]) == ""


def test_a_missing_package_says_the_line_that_installs_it():
    error = MissingPackageError("kornia", "vision", "image augmentation")
    assert str(error) == "image augmentation needs the package kornia: pip install 'hf_strategies[vision]'"
    assert isinstance(error, UserError)
    assert isinstance(error, ImportError)
