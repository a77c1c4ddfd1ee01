import pytest

from hf_strategies.data.corpus import TRAIN, VALIDATION, Corpus
from hf_strategies.data.documents import BrokenRecords
from hf_strategies.data.sources import TextSource
from hf_strategies.errors import UserError


@pytest.fixture
def write(tmp_path):
    def source(name, texts):
        path = tmp_path / name
        path.write_text("\n\n".join(texts))
        return TextSource(files=(str(path),))

    return source


def sides(corpus):
    found = {TRAIN: [], VALIDATION: []}
    for side, text in corpus.read(BrokenRecords()):
        found[side].append(text)
    return found


def test_adding_documents_moves_none_to_the_other_side(write):
    texts = [f"text number {number}" for number in range(300)]
    before = sides(Corpus(write("few.txt", texts), None, validation_share=0.2))
    after = sides(Corpus(write("many.txt", ["new at the front", *texts, "new"]), None, validation_share=0.2))
    assert sorted(before[TRAIN] + before[VALIDATION]) == sorted(texts)
    assert len(before[VALIDATION]) > 30
    for side in (TRAIN, VALIDATION):
        assert [text for text in after[side] if not text.startswith("new")] == before[side]


def test_named_validation_text_leaves_the_training_text_whole(write):
    train = [f"text {number}" for number in range(50)]
    corpus = Corpus(write("train.txt", train), write("held_out.txt", ["one", "two"]), validation_share=0.5)
    assert sides(corpus) == {TRAIN: train, VALIDATION: ["one", "two"]}


def test_a_sample_ends_with_the_text_that_fills_it(write):
    corpus = Corpus(
        write("train.txt", ["aaaa", "bbbb", "cccc"]), write("held_out.txt", ["dd"] * 3), validation_share=0.5
    )
    assert list(corpus.training_texts(BrokenRecords(), max_bytes=5)) == ["aaaa", "bbbb"]
    assert list(corpus.training_texts(BrokenRecords())) == ["aaaa", "bbbb", "cccc"]
    assert list(corpus.validation_texts(BrokenRecords(), max_bytes=4)) == ["dd", "dd"]


def test_the_held_out_sample_is_the_validation_side(write):
    corpus = Corpus(write("train.txt", [f"text {number}" for number in range(99)]), None, validation_share=0.2)
    held_out = sides(corpus)[VALIDATION]
    assert list(corpus.validation_texts(BrokenRecords(), max_bytes=10**6)) == held_out
    assert set(corpus.training_texts(BrokenRecords())).isdisjoint(held_out)


def test_the_identity_follows_documents_and_sides(write):
    one, two = write("one.txt", ["a", "b"]), write("two.txt", ["c"])
    identities = {
        Corpus(one, None, validation_share=0.05).identity(),
        Corpus(one, None, validation_share=0.1).identity(),
        Corpus(one, two, validation_share=0.1).identity(),
        Corpus(two, one, validation_share=0.1).identity(),
    }
    assert len(identities) == 4
    assert Corpus(write("again.txt", ["a", "b"]), None, validation_share=0.1).identity() in identities


@pytest.mark.parametrize("share", [0.0, 1.0, -1])
def test_a_share_that_leaves_a_side_empty_is_refused(write, share):
    with pytest.raises(UserError, match="validation_share must lie in"):
        Corpus(write("one.txt", ["a"]), None, validation_share=share)


def test_a_file_on_both_sides_is_refused_by_name(write, tmp_path):
    held_out = write("held_out.txt", ["one", "two"])
    write("train.txt", ["three"])
    with pytest.raises(UserError, match=r"held_out\.txt: on both sides"):
        Corpus(TextSource(files=(f"{tmp_path}/*.txt",)), held_out, validation_share=0.5)


def test_a_stream_is_known_by_its_name_and_its_beginning(write):
    def known_as(source):
        return Corpus(source, None, validation_share=0.01, streaming=True).sample_identity()

    texts = [str(number) * 60_000 for number in range(100, 110)]
    first = known_as(write("one.txt", texts))
    assert known_as(write("one.txt", [*texts[:-1], "999" * 20_000 * 3])) == first  # as long, and differs at the end
    assert known_as(write("one.txt", ["999" * 60_000, *texts[1:]])) != first
    assert known_as(write("two.txt", texts)) != first
