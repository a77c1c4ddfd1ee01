import tokenize

import pytest

from hf_strategies.data.standard_library import standard_library_documents, standard_library_files


@pytest.fixture(scope="module")
def documents():
    return list(standard_library_documents())


def test_it_holds_the_modules_that_everyone_knows_and_no_tests(documents):
    names = {document.source.rsplit("/", 1)[-1] for document in documents}
    assert {"argparse.py", "typing.py", "decoder.py", "turtle.py"} <= names
    folders = {part for path in standard_library_files() for part in path.parts[-3:-1]}
    assert folders.isdisjoint({"test", "tests", "idle_test", "site-packages"})


def test_it_is_large_enough_to_train_on(documents):
    assert sum(len(document.text.encode()) for document in documents) > 8_000_000


def test_every_text_is_what_python_reads_and_the_order_is_fixed(documents):
    assert documents == list(standard_library_documents())
    assert [document.source for document in documents] == sorted(document.source for document in documents)
    (argparse,) = [document for document in documents if document.source.endswith("/argparse.py")]
    with tokenize.open(argparse.source) as file:
        assert argparse.text == file.read()
