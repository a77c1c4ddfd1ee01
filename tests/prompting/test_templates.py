import pytest

from hf_strategies.errors import UserError
from hf_strategies.prompting import PromptTemplate, with_answer


def test_a_row_is_written_in_the_places_of_its_columns():
    template = PromptTemplate("Q: {text} {{sic}}\nA:", ["text"])
    assert template.fill({"text": "Why {not}?", "label": "1"}) == "Q: Why {not}? {sic}\nA:"
    assert template.fill_all("N/A") == "Q: N/A {sic}\nA:"


def test_the_premise_is_what_stands_behind_the_last_column():
    assert PromptTemplate("{text}\nSentiment:", ["text"]).premise == "Sentiment:"
    assert PromptTemplate("{a} or {b}? Either", ["a", "b"]).premise == "? Either"
    assert PromptTemplate("Review: {text}", ["text"]).premise == ""


@pytest.mark.parametrize(
    ("prompt", "written"), [("A:", "A: good"), ("A: ", "A: good"), ("A:\n", "A:\ngood"), ("", "good")]
)
def test_an_answer_comes_behind_one_space(prompt, written):
    assert with_answer(prompt, "good") == written


@pytest.mark.parametrize(
    ("wording", "complaint"),
    [
        ("{tekst}:", "{tekst} is no column of the prompt, did you mean 'text'? (columns: {text})"),
        ("{label}:", "{label} is no column of the prompt"),  # it would give the answer away
        ("{}:", "{} is no column of the prompt"),
        ("{text:", "in '{text:' (columns: {text})"),
        ("Answer:", "expected a column in braces ({text}), got 'Answer:'"),
    ],
)
def test_a_wording_that_shows_no_row_is_refused(wording, complaint):
    with pytest.raises(UserError) as refused:
        PromptTemplate(wording, ["text"])
    assert complaint in str(refused.value)
