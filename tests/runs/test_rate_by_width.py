import pytest

from hf_strategies.arguments import parse_arguments
from hf_strategies.arguments.resolved import FILE_NAME, write_resolved
from hf_strategies.arguments.tuning_topics import FINETUNE
from hf_strategies.runs.adapter_settings import settle_adapter
from hf_strategies.runs.rate_by_width import settle_rate


def settled(*words: str, width: int | None = 128):
    argv = [*words, "--task", "text-classification"]
    parsed = parse_arguments(argv, description="", default_recipe="finetune", job=FINETUNE)
    return settle_rate(settle_adapter(parsed), width)


@pytest.mark.parametrize(("width", "rate"), [(768, 5e-5), (128, 3e-4), (1536, 2.5e-5), (None, 5e-5), (16, 1e-3)])
def test_a_narrow_checkpoint_takes_a_higher_rate_in_inverse_proportion(width, rate):
    assert settled("small_data", width=width).training["learning_rate"] == pytest.approx(rate)


def test_it_is_said():
    (said,) = [note for note in settled("small_data").notes if note.startswith("learning_rate")]
    assert said == "learning_rate: 5e-05 is for hidden size 768; 128 takes 0.0003"
    assert settled("small_data").values["learning_rate"].where == "hidden size 128"


def test_the_settings_that_are_written_down_rerun_the_same_rate(tmp_path):
    write_resolved(settled("small_data"), tmp_path, "A run.")
    again = settled(str(tmp_path / FILE_NAME))
    assert again.training["learning_rate"] == pytest.approx(3e-4)
    assert again.weights.learning_rate_width is None


@pytest.mark.parametrize("flags", [["--learning_rate", "7e-5"], ["--adapter", "lora"]])
def test_a_rate_that_no_width_is_for_is_rerun_as_it_was(flags, tmp_path):
    asked = settled("small_data", *flags)
    write_resolved(asked, tmp_path, "A run.")
    again = settled(str(tmp_path / FILE_NAME))
    assert again.training["learning_rate"] == asked.training["learning_rate"]


def test_a_rate_of_ones_own_an_adapters_and_that_of_another_recipe_stay():
    assert settled("small_data", "--learning_rate", "7e-5").training["learning_rate"] == 7e-5
    assert settled("small_data", "--adapter", "lora").training["learning_rate"] == pytest.approx(5e-4)
    assert settled("lora").training["learning_rate"] == 3e-4


def test_ones_own_file_may_name_the_width_beside_its_rate(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("recipe: small_data\nlearning_rate: 1e-4\nlearning_rate_width: 256\n")
    assert settled(str(path)).training["learning_rate"] == pytest.approx(2e-4)
    path.write_text("recipe: small_data\nlearning_rate: 1e-4\n")  # the recipe's width is not for this rate
    assert settled(str(path)).training["learning_rate"] == 1e-4
