import json

import numpy as np
import pytest

from hf_strategies.data import TextSource, overlap, prepare_text
from hf_strategies.data.overlap import shared_ngrams
from hf_strategies.data.token_stream import TokenStream

EOS = 0


def stream(*ids):
    return TokenStream(np.array(ids, np.uint16), np.array([0]), np.array([len(ids)]), np.array([len(ids)]))


@pytest.mark.parametrize("piece", [1 << 22, 2], ids=["at once", "in pieces"])
def test_runs_are_shared_in_their_order_and_within_a_document(monkeypatch, piece):
    monkeypatch.setattr(overlap, "PIECE_TOKENS", piece)
    validation = stream(EOS, 1, 2, 3, 4, EOS, 7, 8, EOS)  # runs of three: 1 2 3, 2 3 4
    assert shared_ngrams(stream(EOS, 9, 2, 3, 4, EOS), validation, 3, EOS) == (1, 2)
    assert shared_ngrams(stream(EOS, 3, 2, 1, EOS, 4, 3, 2, EOS), validation, 3, EOS) == (0, 2)
    assert shared_ngrams(stream(1, 2, 3, 4, 1, 2, 3, 4), validation, 3, EOS) == (2, 2)
    assert shared_ngrams(stream(4, EOS, 7, 1, 2), validation, 2, EOS) == (1, 4)
    assert shared_ngrams(stream(1, 2), stream(EOS, 1), 3, EOS) == (0, 0)


@pytest.fixture
def texts(tmp_path):
    """Texts of which every third one stands there twice."""
    path = tmp_path / "data.jsonl"
    written = [f"document {number} says {number * 7919} and no more" for number in range(300)]
    written += written[::3]
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in written))
    return TextSource(files=(str(path),))


def test_copies_are_left_out_and_counted_where_that_is_asked_for(texts, bytes_tokenizer):
    options = {"tokenizer": bytes_tokenizer, "block_size": 16, "num_workers": 1}
    plain, once = (prepare_text(texts, drop_duplicates=drop, **options).report for drop in (None, "exact"))
    assert sum(side.documents for side in plain.sides.values()) == 400
    assert sum(side.documents for side in once.sides.values()) == 300
    assert "100 documents left out, which are copies of others" in once.broken
    assert not plain.broken
    again = prepare_text(texts, drop_duplicates="exact", **options).report
    assert (again.from_cache, again.broken) == (True, once.broken)


def test_what_both_sides_share_and_how_long_documents_are_is_reported(texts, tmp_path, bytes_tokenizer):
    held_out = tmp_path / "held_out.jsonl"
    seen = "document 7 says 55433 and no more"
    held_out.write_text("".join(json.dumps({"text": text}) + "\n" for text in (seen, "Q" * 20 + "R" * 20)))
    report = prepare_text(
        texts,
        TextSource(files=(str(held_out),)),
        tokenizer=bytes_tokenizer,
        block_size=16,
        num_workers=1,
        contamination_ngram=13,
    ).report
    # 33 letters hold 21 runs, all of them seen; of Q and R: all Q, twelve of both, all R.
    assert "21 of 35 runs of 13 validation tokens (60.0%) stand in the training text" in report.summary()
    assert report.notes[0] == "train, tokens per document: 16 to 32: 2, 32 to 64: 398"
