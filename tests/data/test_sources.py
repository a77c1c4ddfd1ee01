import os

import datasets
import pytest

from hf_strategies.data.documents import BrokenRecords
from hf_strategies.data.sources import TextSource, find_documents
from hf_strategies.errors import UserError


def read(source: TextSource, broken: BrokenRecords | None = None, **options):
    return list(find_documents(source, **options)[0].read(broken or BrokenRecords()))


@pytest.fixture
def tree(tmp_path):
    """A folder of source files and data, with what such folders hold besides."""
    root = tmp_path / "tree"
    (root / "package").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / ".git" / "config").write_text("hidden")
    (root / "package" / "__init__.py").write_text("")
    (root / "package" / "module.py").write_text("a = 1\n\nb = 2\n")
    (root / "README.md").write_text("# Read me\n")
    (root / "pages.jsonl").write_text('{"text": "one"}\n{"text": ""}\n{"text": "two"}\n')
    return root


def test_a_folder_mixes_formats_file_by_file_in_order(tree):
    documents = read(TextSource(files=(str(tree),)))
    assert [(document.text, document.row) for document in documents] == [
        ("# Read me\n", 1),
        ("a = 1\n\nb = 2\n", 1),
        ("one", 1),
        ("two", 3),
    ]


def test_globs_reach_into_folders(tree):
    (document,) = read(TextSource(files=(f"{tree}/**/*.py",)))
    assert document.source == str(tree / "package" / "module.py")


@pytest.mark.parametrize("pattern", ["absent.txt", "*.parquet"])
def test_a_pattern_without_files_is_refused_by_name(tree, pattern):
    with pytest.raises(UserError, match=rf"{pattern.replace('*', '[*]')}: no such file"):
        read(TextSource(files=(f"{tree}/{pattern}",)))


def test_an_empty_file_and_an_empty_folder_are_refused_by_name(tree, tmp_path):
    with pytest.raises(UserError, match=r"__init__\.py: the file is empty"):
        read(TextSource(files=(str(tree / "package" / "__init__.py"),)))
    (tmp_path / "nothing").mkdir()
    with pytest.raises(UserError, match="nothing: no files"):
        read(TextSource(files=(str(tmp_path / "nothing"),)))


def test_a_picture_among_source_files_is_no_record_and_by_name_an_error(tree):
    picture = tree / "logo.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    broken = BrokenRecords(max_share=0.0)
    assert len(read(TextSource(files=(str(tree),)), broken)) == 4
    assert (broken.num_broken, broken.binary_examples) == (0, [str(picture)])
    with pytest.raises(UserError, match=r"logo\.png: a binary file"):
        read(TextSource(files=(str(picture),)))


def test_a_source_file_in_another_encoding_is_a_broken_record(tree):
    (tree / "old.py").write_bytes(b"# caf\xe9\n")
    broken = BrokenRecords(max_share=0.5)
    assert len(read(TextSource(files=(str(tree),)), broken)) == 4
    assert broken.examples[0].startswith(f"{tree / 'old.py'}:1 not UTF-8: byte 0xe9")


def test_linked_folders_are_read_and_a_loop_of_them_once(tree, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "note.md").write_text("from outside")
    (tree / "link").symlink_to(outside)
    (outside / "loop").symlink_to(tree)
    texts = [document.text for document in read(TextSource(files=(str(tree),)))]
    assert sorted(texts) == sorted(["# Read me\n", "a = 1\n\nb = 2\n", "one", "two", "from outside"])


def test_a_folder_that_cannot_be_listed_is_refused_by_name(tmp_path):
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "page.txt").write_text("text")
    at = os.open(tmp_path / "tree", os.O_RDONLY)
    for _ in range(17):  # deeper than the 4,096 characters that a path may have
        os.mkdir("d" * 250, dir_fd=at)
        inner = os.open("d" * 250, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = inner
    os.close(at)
    with pytest.raises(UserError, match=r"/d{250}: cannot be read: File name too long"):
        read(TextSource(files=(str(tmp_path / "tree"),)))


def test_a_file_that_several_patterns_name_is_read_once(tree):
    once = read(TextSource(files=(str(tree),)))
    assert read(TextSource(files=(str(tree), f"{tree}/*.md", f"{tree}/package/../README.md"))) == once


def test_a_name_longer_than_any_file_has_is_refused():
    with pytest.raises(UserError, match=r"x{300}: cannot be read: File name too long"):
        read(TextSource(files=("x" * 300,)))


def test_a_pipe_is_refused_as_what_it_is(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="pipe: not a regular file; it must be read more than once"):
        read(TextSource(files=(str(tmp_path / "pipe"),)))


def test_a_data_set_that_fails_while_it_is_read_is_named_with_the_row(tmp_path):
    folder = tmp_path / "local"
    folder.mkdir()
    (folder / "train-0.jsonl").write_text('{"text": "one"}\n{"text": "two"}\n')
    (folder / "train-1.jsonl").write_text('{"text": "three"}\n')
    documents = find_documents(TextSource(dataset_name=str(folder)), streaming=True)[0].read(BrokenRecords())
    assert next(documents).text == "one"
    (folder / "train-1.jsonl").unlink()
    with pytest.raises(UserError, match=r"local' cannot be read after row 2: .*train-1\.jsonl"):
        list(documents)


def test_half_a_surrogate_pair_is_a_broken_record(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text('{"text": "\\ud83d"}\n{"text": "\\ud83d\\ude00"}\n')
    broken = BrokenRecords(max_share=0.5)
    assert [document.text for document in read(TextSource(files=(str(path),)), broken)] == ["\U0001f600"]
    assert broken.examples == [f"{path}:1 holds half of a surrogate pair"]


def test_the_identity_follows_the_content_and_not_the_place(tree, tmp_path):
    def identity(path, column="text"):
        return find_documents(TextSource(files=(str(path),), text_column=column))[0].identity()

    before = identity(tree / "pages.jsonl")
    moved = tmp_path / "moved.jsonl"
    moved.write_bytes((tree / "pages.jsonl").read_bytes())
    assert identity(moved) == before
    assert identity(moved, "other") != before
    moved.write_text('{"text": "three"}\n')
    assert identity(moved) != before


def test_a_saved_data_set_brings_its_own_validation_split(tmp_path):
    folder = tmp_path / "saved"
    splits = {"train": ["one", "two"], "validation": ["three"]}
    tables = {name: datasets.Dataset.from_dict({"page": texts}) for name, texts in splits.items()}
    datasets.DatasetDict(tables).save_to_disk(folder)
    train, validation = find_documents(TextSource(dataset_name=str(folder), text_column="page"))
    assert [document.text for document in train.read(BrokenRecords())] == ["one", "two"]
    assert [document.text for document in validation.read(BrokenRecords())] == ["three"]
    with pytest.raises(UserError, match=r"no column 'text' \(columns: page\)"):
        read(TextSource(dataset_name=str(folder)))


def test_a_folder_of_files_is_a_local_data_set(tmp_path):
    folder = tmp_path / "local"
    folder.mkdir()
    (folder / "train.jsonl").write_text('{"text": "one"}\n{"text": null}\n{"text": "two"}\n')
    broken = BrokenRecords(max_share=0.0)
    documents = read(TextSource(dataset_name=str(folder)), broken, streaming=True)
    assert [(document.text, document.row) for document in documents] == [("one", 1), ("two", 3)]  # a null is empty


def test_an_unknown_data_set_is_refused_in_one_line(tmp_path):
    with pytest.raises(UserError, match="data set 'nobody/nothing' cannot be loaded") as refused:
        read(TextSource(dataset_name="nobody/nothing"))
    assert "\n" not in str(refused.value)


def test_files_and_a_data_set_together_are_refused():
    with pytest.raises(UserError, match=r"not both"):
        TextSource(files=("a.txt",), dataset_name="b")
