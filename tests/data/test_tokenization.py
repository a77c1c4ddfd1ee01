import multiprocessing
import os
import signal

import numpy as np
import pytest

from hf_strategies.data.framing import Framing
from hf_strategies.data.token_stream import TokenStream
from hf_strategies.data.tokenization import encode_documents, write_streams
from hf_strategies.errors import UserError

TEXTS = [f"document {number} " + "\u00e9" * (number % 7) for number in range(500)] + ["long " * 210_000] * 6


@pytest.mark.parametrize("num_workers", [1, 2])
def test_documents_come_back_in_order_with_their_tags_and_lengths(bytes_tokenizer, num_workers):
    batches = encode_documents(
        enumerate(TEXTS),
        tokenizer_json=bytes_tokenizer.backend_tokenizer.to_str(),
        dtype=np.uint16,
        num_workers=num_workers,
    )
    encoded = [document for batch in batches for document in batch]
    assert [tag for tag, _ in encoded] == list(range(len(TEXTS)))
    for (_, (ids, num_bytes)), text in zip(encoded, TEXTS):
        assert ids.astype(np.int64).tolist() == [byte + 1 for byte in text.encode()]
        assert num_bytes == len(text.encode())


def test_sides_go_to_streams_of_their_own_and_no_token_is_lost(tmp_path, bytes_tokenizer):
    sided = [("train" if number % 3 else "validation", text) for number, text in enumerate(TEXTS[:90])]
    write_streams(
        sided,
        tmp_path,
        sides=("train", "validation", "empty"),
        framing=Framing.of(bytes_tokenizer),
        tokenizer_json=bytes_tokenizer.backend_tokenizer.to_str(),
        dtype=np.uint16,
        num_workers=1,
    )
    for side in ("train", "validation"):
        texts = [text for of_side, text in sided if of_side == side]
        stream = TokenStream.open(tmp_path / side)
        assert bytes(max(token - 1, 0) for token in stream.ids.tolist()).split(b"\0") == [
            b"",
            *(text.encode() for text in texts),
            b"",
        ]
        assert stream.document_bytes.tolist() == [len(text.encode()) for text in texts]
    assert TokenStream.open(tmp_path / "empty").num_documents == 0


def test_a_killed_process_is_said_in_one_line_with_the_cure(bytes_tokenizer):
    def texts():
        for number in range(50):
            if number == 5:
                os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
            yield number, "long " * 210_000

    batches = encode_documents(
        texts(), tokenizer_json=bytes_tokenizer.backend_tokenizer.to_str(), dtype=np.uint16, num_workers=2
    )
    with pytest.raises(UserError, match="was killed, most likely for memory: lower preprocessing_num_workers"):
        list(batches)


def test_no_process_at_all_is_refused(bytes_tokenizer):
    json = bytes_tokenizer.backend_tokenizer.to_str()
    with pytest.raises(UserError, match="preprocessing_num_workers must be at least 1, got 0"):
        list(encode_documents([(0, "a")], tokenizer_json=json, dtype=np.uint16, num_workers=0))
