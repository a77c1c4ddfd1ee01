import random
import warnings
from itertools import pairwise, product

import pytest

from hf_strategies.errors import UserError
from hf_strategies.metrics.entities import (
    PREFIXES,
    entity_f1,
    entity_precision,
    entity_recall,
    find_entities,
    is_entity_tag,
)

SENTENCE = ["B-PER", "I-PER", "O", "I-LOC", "I-LOC", "B-LOC", "I-ORG"]


def test_any_tags_are_read_as_conll_reads_them():
    assert find_entities(SENTENCE) == {(0, 2, "PER"), (3, 5, "LOC"), (5, 6, "LOC"), (6, 7, "ORG")}
    assert find_entities(["B-X", "E-X", "S-X", "E-X"]) == {(0, 2, "X"), (2, 3, "X"), (3, 4, "X")}
    assert find_entities(["O", "O"]) == find_entities([]) == set()


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        ("IOB1", {(3, 5, "LOC"), (5, 6, "LOC"), (6, 7, "ORG"), (1, 2, "PER")}),  # a B only where it parts two
        ("IOB2", {(0, 2, "PER"), (5, 6, "LOC")}),  # an I never begins
    ],
)
def test_a_scheme_takes_only_what_it_allows(scheme, expected):
    assert find_entities(SENTENCE, scheme) == expected


def test_bioes_takes_only_what_begins_and_ends():
    tags = ["S-A", "B-A", "I-A", "E-A", "B-A", "I-A", "O", "B-A", "E-B", "I-A", "E-A", "S-B"]
    assert find_entities(tags, "BIOES") == {(0, 1, "A"), (1, 4, "A"), (11, 12, "B")}


def random_rows(prefixes: str, seed: int) -> list[list[str]]:
    draw = random.Random(seed)
    tags = ["O", "O", *(f"{prefix}-{kind}" for prefix in prefixes for kind in ("X", "Y"))]
    return [[draw.choice(tags) for _ in range(draw.randint(1, 12))] for _ in range(300)]


def well_formed(rows: list[list[str]], scheme: str) -> list[list[str]]:
    """Write the entities of rows in a scheme, those that touch another of their type parted as it demands."""
    written = []
    for row in rows:
        tags, last = ["O"] * len(row), (-1, "")
        for start, end, kind in sorted(find_entities(row)):
            for word in range(start, end):
                tags[word] = f"I-{kind}"
            if scheme == "IOB2" or (scheme == "IOB1" and last == (start, kind)):
                tags[start] = f"B-{kind}"
            if scheme == "BIOES":
                tags[start], tags[end - 1] = f"B-{kind}", f"E-{kind}"
                tags[start] = f"S-{kind}" if end - start == 1 else tags[start]
            last = (end, kind)
        written.append(tags)
    return written


@pytest.mark.parametrize("scheme", PREFIXES)
def test_what_is_well_formed_is_read_the_same_leniently_and_strictly(scheme):
    rows = random_rows("BIES", 0)
    for row, tags in zip(rows, well_formed(rows, scheme), strict=True):
        assert find_entities(tags) == find_entities(tags, scheme) == find_entities(row)


SCORES = [(entity_f1, "f1_score"), (entity_precision, "precision_score"), (entity_recall, "recall_score")]


@pytest.mark.parametrize(("ours", "theirs"), SCORES)
def test_the_lenient_score_is_that_of_seqeval(ours, theirs):
    seqeval = pytest.importorskip("seqeval.metrics")
    rows = random_rows("BIES", 1)
    true = [[tag if random.Random(len(row)).random() < 0.8 else "O" for tag in row] for row in rows]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for predicted, right in ((rows, true), (random_rows("BI", 2), random_rows("BI", 2)), ([["O"]], [["O"]])):
            assert ours(predicted, right) == pytest.approx(getattr(seqeval, theirs)(right, predicted))


@pytest.mark.parametrize("scheme", PREFIXES)
def test_seqeval_reads_every_short_row_strictly_as_we_do(scheme):
    schemes = pytest.importorskip("seqeval.scheme")
    theirs = getattr(schemes, {"BIOES": "IOBES"}.get(scheme, scheme))
    tags = ["O", *(f"{prefix}-{kind}" for prefix in PREFIXES[scheme] for kind in ("X", "Y"))]
    for row in map(list, product(tags, repeat=4)):
        if scheme == "IOB1" and {("B-X", "B-Y"), ("B-Y", "B-X")} & set(pairwise(row)):
            continue  # seqeval drops an entity that is whole where such a stray B comes next
        expected = {(found.start, found.end, found.tag) for found in schemes.Tokens(row, theirs).entities}
        assert find_entities(row, scheme) == expected


def test_a_stray_b_takes_nothing_from_what_stands_before_it():
    assert find_entities(["I-X", "B-X", "B-Y"], "IOB1") == {(0, 1, "X"), (1, 2, "X")}


def test_no_entity_anywhere_is_no_score_and_no_error():
    for score, _ in SCORES:
        assert score([["O"]], [["O"]]) == 0.0


@pytest.mark.parametrize(
    ("tags", "scheme", "complaint"),
    [
        (["PER"], None, "predictions: tag 'PER' is none of O, B-TYPE, I-TYPE, E-TYPE, S-TYPE"),
        (["B-"], None, "tag 'B-' is none of"),
        (["S-PER"], "IOB2", "tag 'S-PER' is none of O, B-TYPE, I-TYPE of IOB2"),
        (["O"], "IOB3", "scheme: expected one of IOB1, IOB2, BIOES, or none, got 'IOB3'"),
        (["O", "O"], None, "predictions: 2 tags in row 0, where references have 1"),
        ([3], None, "predictions: expected names, got 3"),
    ],
)
def test_what_is_no_tag_is_named(tags, scheme, complaint):
    with pytest.raises(UserError, match=complaint):
        entity_f1([tags], [["O"]], scheme=scheme)


def test_a_data_set_can_be_asked_whether_its_tags_are_of_entities():
    assert all(map(is_entity_tag, ["O", "B-PER", "E-a-b"]))
    assert not any(map(is_entity_tag, ["PER", "NN", "B", "B-", "X-PER", "", "-PER"]))
