import pickle

import numpy as np
import pytest

from hf_strategies.data.framing import Framing
from hf_strategies.data.token_stream import TokenStream, TokenStreamWriter, id_type

DOCUMENTS = [[11, 12, 13], [21], [31, 32]]


def written(folder, framing, documents=DOCUMENTS, dtype=np.uint16):
    writer = TokenStreamWriter(folder, framing, dtype)
    for ids in documents:
        writer.add(np.array(ids, dtype), 10 * len(ids))
    writer.close()
    return TokenStream.open(folder)


def test_without_bos_every_document_stands_between_two_ends(tmp_path):
    stream = written(tmp_path, Framing(eos_token_id=0))
    assert stream.ids.tolist() == [0, 11, 12, 13, 0, 21, 0, 31, 32, 0]
    assert stream.document_starts.tolist() == [0, 4, 6]
    assert (stream.num_documents, stream.num_bytes) == (3, 60)


def test_with_bos_every_document_has_both_marks(tmp_path):
    stream = written(tmp_path, Framing(eos_token_id=0, bos_token_id=1))
    assert stream.ids.tolist() == [1, 11, 12, 13, 0, 1, 21, 0, 1, 31, 32, 0]
    assert stream.document_starts.tolist() == [0, 5, 8]


@pytest.mark.parametrize("framing", [Framing(0), Framing(0, 1), Framing(0, 0)])
def test_bytes_of_a_prefix_count_a_cut_document_by_its_tokens(tmp_path, framing):
    stream = written(tmp_path, framing)
    for num_tokens in range(len(stream.ids) + 1):  # 10 bytes per token here, marks hold none
        text_tokens = int((stream.ids[:num_tokens] > 1).sum())
        assert stream.num_bytes_until(num_tokens) == pytest.approx(10 * text_tokens)


def test_large_vocabularies_take_four_bytes_per_token(tmp_path):
    assert (id_type(65_536), id_type(65_537)) == (np.uint16, np.uint32)
    stream = written(tmp_path, Framing(eos_token_id=100_000), dtype=np.uint32)
    assert stream.ids[0] == 100_000
    assert (tmp_path / "ids.bin").stat().st_size == 4 * 10


def test_a_pickled_stream_is_mapped_again_and_not_copied(tmp_path):
    stream = written(tmp_path, Framing(eos_token_id=0), [[7] * 50_000])
    pickled = pickle.dumps(stream)
    assert len(pickled) < 1_000
    assert isinstance(pickle.loads(pickled).ids, np.memmap)
    in_memory = TokenStream(stream.ids[:3].copy(), np.array([0]), np.array([2]), np.array([5]))
    assert pickle.loads(pickle.dumps(in_memory)).ids.tolist() == [0, 7, 7]


def test_a_side_without_documents_is_empty(tmp_path):
    stream = written(tmp_path, Framing(eos_token_id=0, bos_token_id=1), [])
    assert (len(stream.ids), stream.num_documents, stream.num_bytes, stream.num_bytes_until(0)) == (0, 0, 0, 0.0)
