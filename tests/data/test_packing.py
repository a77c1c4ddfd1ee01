import pickle

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from hf_strategies.data.packing import PackedBlocks
from hf_strategies.data.token_stream import TokenStream
from hf_strategies.errors import UserError
from hf_strategies.metrics.language_modeling import IGNORED

EOS, BOS, PAD = 0, 1, 9


def stream_of(ids, starts):
    lengths = np.diff([*starts, len(ids)]) - 1
    return TokenStream(np.array(ids, np.uint16), np.array(starts), lengths, np.full(len(starts), 10))


@pytest.fixture
def without_bos():
    """EOS 11 12 13 EOS 21 22 EOS 31 EOS"""
    return stream_of([EOS, 11, 12, 13, EOS, 21, 22, EOS, 31, EOS], [0, 4, 7])


@pytest.fixture
def with_bos():
    """BOS 11 12 EOS BOS 21 22 EOS"""
    return stream_of([BOS, 11, 12, EOS, BOS, 21, 22, EOS], [0, 4])


def test_blocks_written_out_by_hand(without_bos):
    blocks = PackedBlocks(without_bos, 4, pad_token_id=PAD)
    assert [block["input_ids"].tolist() for block in blocks] == [[0, 11, 12, 13], [13, 0, 21, 22], [22, 0, 31, 0]]
    assert blocks[0]["labels"].tolist() == [IGNORED, 11, 12, 13]
    assert set(blocks[0]) == {"input_ids", "labels"}
    last = PackedBlocks(without_bos, 6, pad_token_id=PAD)[1]
    assert last["input_ids"].tolist() == [21, 22, 0, 31, 0, PAD]
    assert last["labels"].tolist() == [IGNORED, 22, 0, 31, 0, IGNORED]
    assert last["labels"].dtype == torch.int64


@pytest.mark.parametrize("block_size", [2, 3, 7, 64, 100, 999, 1000])
@pytest.mark.parametrize("isolate_documents", [False, True])
def test_every_token_but_the_first_is_a_target_exactly_once_in_order(block_size, isolate_documents):
    ids = np.random.default_rng(0).integers(2, 60_000, size=1000)
    stream = stream_of(ids, [0, 10, 11, 500])
    blocks = PackedBlocks(stream, block_size, pad_token_id=PAD, isolate_documents=isolate_documents)
    labels = torch.cat([block["labels"] for block in blocks])
    targets = labels[labels != IGNORED]
    assert targets.tolist() == ids[1:].tolist()
    assert blocks.num_predicted_tokens == 999
    assert blocks.num_bytes == pytest.approx(40)


def test_the_hosts_loss_counts_what_we_count(without_bos, tiny_lm):
    blocks = PackedBlocks(without_bos, 6, pad_token_id=PAD)
    batch = {name: torch.stack([block[name] for block in blocks]) for name in ("input_ids", "labels")}
    logits = tiny_lm(input_ids=batch["input_ids"]).logits
    chances = torch.log_softmax(logits, -1)
    texts = [[0, 11, 12, 13, 0, 21], [21, 22, 0, 31, 0]]
    by_hand = [-chances[row, place, target] for row, text in enumerate(texts) for place, target in enumerate(text[1:])]
    assert len(by_hand) == blocks.num_predicted_tokens == 9
    torch.testing.assert_close(tiny_lm(**batch).loss, torch.stack(by_hand).mean())


def test_positions_restart_at_start_markers(without_bos):
    blocks = PackedBlocks(without_bos, 6, pad_token_id=PAD, isolate_documents=True)
    assert blocks[0]["position_ids"].tolist() == [0, 1, 2, 3, 0, 1]
    assert blocks[1]["position_ids"].tolist() == [0, 1, 0, 1, 2, 3]
    assert blocks[0]["labels"].tolist() == [IGNORED, 11, 12, 13, EOS, 21]  # this EOS ends the first document


def test_an_isolated_bos_is_no_target(with_bos):
    block = PackedBlocks(with_bos, 8, pad_token_id=PAD, bos_token_id=BOS, isolate_documents=True)
    assert block[0]["labels"].tolist() == [IGNORED, 11, 12, EOS, IGNORED, 21, 22, EOS]
    assert block[0]["position_ids"].tolist() == [0, 1, 2, 3, 0, 1, 2, 3]
    assert block.num_predicted_tokens == 6
    assert PackedBlocks(with_bos, 8, pad_token_id=PAD, bos_token_id=BOS).num_predicted_tokens == 7


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("framing", ["with_bos", "without_bos"])
def test_isolated_documents_do_not_see_each_other(framing, implementation, tiny_lm, request):
    stream = request.getfixturevalue(framing)
    tiny_lm.set_attn_implementation(implementation)

    def logits_of_the_second(ids, *, isolate):
        changed = stream_of(ids, stream.document_starts)
        block = PackedBlocks(changed, 8, pad_token_id=PAD, isolate_documents=isolate)[0]
        inputs = {name: value[None] for name, value in block.items() if name != "labels"}
        return tiny_lm(**inputs, use_cache=False).logits[0, 4:]

    one = stream.ids.tolist()
    other = [one[0], 41, 42, *one[3:]]  # the first document says something else
    torch.testing.assert_close(
        logits_of_the_second(one, isolate=True), logits_of_the_second(other, isolate=True), rtol=0, atol=0
    )
    seen = logits_of_the_second(one, isolate=False) - logits_of_the_second(other, isolate=False)
    assert seen.abs().max() > 1e-5


@pytest.mark.parametrize("block_size", [2, 3, 7, 999, 1000])
def test_blocks_without_an_overlap_hold_every_token_once(block_size):
    ids = np.random.default_rng(0).integers(2, 60_000, size=1000)
    blocks = PackedBlocks(stream_of(ids, [0]), block_size, pad_token_id=PAD, overlap=0)
    assert np.concatenate([blocks.tokens(index) for index in range(len(blocks))]).tolist() == ids.tolist()
    assert blocks.num_tokens == 1000
    assert blocks[len(blocks) - 1]["input_ids"].shape == (block_size,)


def test_a_limited_number_of_blocks_counts_only_its_own_tokens_and_bytes(without_bos):
    blocks = PackedBlocks(without_bos, 4, pad_token_id=PAD, max_blocks=2)
    assert len(blocks) == 2
    assert blocks.num_tokens == 7
    assert blocks.num_predicted_tokens == 6
    assert blocks.num_bytes == pytest.approx(20)  # EOS 11 12 13 | EOS 21 22: two whole documents of 10 bytes
    assert len(PackedBlocks(without_bos, 4, pad_token_id=PAD, max_blocks=99)) == 3


def test_blocks_are_found_by_number_from_both_ends(without_bos):
    blocks = PackedBlocks(without_bos, 4, pad_token_id=PAD)
    assert torch.equal(blocks[-1]["input_ids"], blocks[2]["input_ids"])
    with pytest.raises(IndexError):
        blocks[3]


def test_workers_of_a_data_loader_read_the_same_blocks(without_bos):
    blocks = PackedBlocks(without_bos, 4, pad_token_id=PAD)
    rows = torch.cat([batch["input_ids"] for batch in DataLoader(blocks, batch_size=2, num_workers=2)])
    assert rows.tolist() == [block["input_ids"].tolist() for block in blocks]
    assert len(pickle.loads(pickle.dumps(blocks))) == 3


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (
            {"block_size": 11, "name": "validation"},
            "validation set smaller than one block: 10 tokens in 3 documents, 11",
        ),
        ({"block_size": 1}, "at least 2 tokens"),
        ({"block_size": 4, "max_blocks": 0}, "number of training blocks must be at least 1"),
    ],
)
def test_what_cannot_be_packed_is_refused(without_bos, options, complaint):
    with pytest.raises(UserError, match=complaint):
        PackedBlocks(without_bos, **options, pad_token_id=PAD)


def test_a_side_without_documents_is_answered_with_the_cure():
    with pytest.raises(
        UserError, match=r"validation set empty: no document fell on this side.*validation_file.*blank"
    ):
        PackedBlocks(stream_of([EOS], []), 4, pad_token_id=PAD, name="validation")
