import pytest
from PIL import Image

from hf_strategies.reports.comparison import (
    Contender,
    comparison_html,
    comparison_table,
    draw_comparison,
    format_memory,
    sampling_error,
)

PROMPT = Contender(method="prompt, 4 shots", scores=[0.5, 0.7], row_seconds=0.02, peak_memory=2**29)
TUNED = Contender(
    method="adapter, lora: <a>",
    scores=[0.8],
    trained_parameters=12_345,
    training_seconds=75.0,
    row_seconds=0.001,
    peak_memory=3 * 2**29,
)


def test_the_table_says_what_each_way_scores_and_costs():
    assert comparison_table([PROMPT, TUNED], "accuracy").splitlines() == [
        "method              accuracy     +-  runs   learn    training  1,000 rows    memory",
        "------------------  --------  -----  ----  ------  ----------  ----------  --------",
        "prompt, 4 shots        0.600  0.141     2       0           -      20.0 s   512 MiB",
        "adapter, lora: <a>     0.800      -     1  12.3 k  1 min 15 s       1.0 s  1.50 GiB",
    ]


def test_names_are_text_in_the_report():
    page = comparison_html([PROMPT, TUNED], "accuracy")
    assert "<td>adapter, lora: &lt;a&gt;</td>" in page
    assert comparison_html([], "accuracy") == ""


@pytest.mark.parametrize("scores", [[0.0], [-0.2, 0.1], [0.9, 0.8, 0.7]])
def test_a_picture_is_drawn_of_any_scores(tmp_path, scores):
    drawn = [Contender(method="a", scores=scores), TUNED]
    draw_comparison(drawn, tmp_path / "bars.png", title="Two", metric="accuracy", caption="word " * 60)
    with Image.open(tmp_path / "bars.png") as picture:
        assert picture.size[0] == 1600


def test_an_accuracy_on_few_rows_is_known_roughly():
    assert sampling_error(0.5, 100) == pytest.approx(0.098)  # 1.96 * 0.5 / 10
    assert sampling_error(1.0, 100) == 0


def test_memory_is_written_as_people_say_it():
    assert [format_memory(size) for size in (5 * 2**20, 2**30)] == ["5 MiB", "1.00 GiB"]
