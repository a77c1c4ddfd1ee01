import json
import random
import re

import pytest

from hf_strategies.data import TextSource, prepare_text
from hf_strategies.data.near_copies import NearCopies, signature
from hf_strategies.errors import UserError

WORDS = [f"word{number}" for number in range(5000)]


def document(seed, length=400):
    return random.Random(seed).choices(WORDS, k=length)


def jaccard(first, second):
    """Of the sets of runs of five words, spelled out."""
    runs = [{tuple(words[place : place + 5]) for place in range(len(words) - 4)} for words in (first, second)]
    return len(runs[0] & runs[1]) / len(runs[0] | runs[1])


@pytest.mark.parametrize("kept", [1.0, 0.9, 0.7, 0.4, 0.0])
def test_signatures_agree_as_often_as_the_documents_share_runs_of_words(kept):
    similarity, agreed = [], []
    for seed in range(8):
        words = document(seed)
        number = int(kept * len(words))
        other = words[:number] + document(seed + 100)[number:]
        similarity.append(jaccard(words, other))
        agreed.append((signature(" ".join(words)) == signature(" ".join(other))).mean())
    # 8 x 128 draws of a share p: a deviation of at most 0.016; four of them.
    assert sum(agreed) / 8 == pytest.approx(sum(similarity) / 8, abs=0.064)


def test_case_marks_and_spaces_do_not_count_and_the_order_of_words_does():
    plain = signature("the cat sat on the mat, and slept")
    assert (signature("The cat\nsat on -- the mat and SLEPT!") == plain).all()
    assert (signature("slept and mat the on sat cat the") != plain).any()
    assert (signature("two words") == signature("Two, words.")).all()
    assert signature("?! ...") is None


@pytest.mark.parametrize(("changed", "is_near"), [(0, True), (4, True), (60, False)])
def test_a_few_changed_words_leave_a_near_copy_and_many_do_not(changed, is_near):
    words = document(1)
    for place in random.Random(2).sample(range(len(words)), changed):
        words[place] = "other"
    near = NearCopies()
    assert not near.seen(" ".join(document(1)))
    assert not near.seen(" ".join(document(3)))
    assert near.seen(" ".join(words)) is is_near  # similarity 1, about 0.9, and about 0.4


def test_a_shared_band_alone_makes_no_copy():
    def pair(seed):  # alike by 0.6: a quarter of such pairs share one band of sixteen
        words = document(seed)
        return " ".join(words), " ".join(words[:300] + document(seed + 100)[300:])

    judged = []
    for first, second in map(pair, range(30)):
        near = NearCopies()
        judged += [near.seen(first), near.seen(second)]
    assert not any(judged)


def test_texts_without_words_are_no_copies_of_one_another():
    near = NearCopies()
    assert not any(near.seen(text) for text in ("?!", "...", "?! ?!"))


@pytest.fixture
def texts(tmp_path):
    """100 texts, ten of which stand there once more to the letter, and twenty with another last word."""
    written = [" ".join(document(number)) for number in range(100)]
    written += written[:10] + [re.sub(r"\w+$", "end", text) for text in written[10:30]]
    path = tmp_path / "data.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in written))
    return TextSource(files=(str(path),))


def test_near_copies_are_left_out_and_counted_beside_the_exact_ones(texts, bytes_tokenizer):
    options = {"tokenizer": bytes_tokenizer, "block_size": 16, "num_workers": 1}
    exact, near = (prepare_text(texts, drop_duplicates=kind, **options).report for kind in ("exact", "near"))
    assert sum(side.documents for side in exact.sides.values()) == 120
    assert sum(side.documents for side in near.sides.values()) == 100
    assert "10 documents left out, which are copies of others" in near.broken
    assert "20 documents left out, which are nearly copies of others" in near.broken


def test_a_stream_leaves_out_near_copies_and_goes_on_where_it_was(texts, bytes_tokenizer):
    options = {"tokenizer": bytes_tokenizer, "block_size": 512, "streaming": True}
    stream = prepare_text(texts, drop_duplicates="near", **options).train
    whole = [block["input_ids"].tolist() for block in stream]
    assert len(whole) < 0.9 * len(list(prepare_text(texts, drop_duplicates="exact", **options).train))
    blocks = iter(stream)
    for _ in range(500):
        next(blocks)
    resumed = prepare_text(texts, drop_duplicates="near", **options).train
    resumed.load_state_dict(stream.state_dict())
    assert [block["input_ids"].tolist() for block in resumed] == whole[500:]


def test_dna_has_no_words(tmp_path, bytes_tokenizer):
    path = tmp_path / "genome.fa"
    path.write_text(">chr1\n" + "ACGT" * 400 + "\n")
    with pytest.raises(UserError, match=r"which DNA has none of .*genome\.fa.*: take exact"):
        prepare_text(TextSource(files=(str(path),)), tokenizer=bytes_tokenizer, block_size=16, drop_duplicates="near")
