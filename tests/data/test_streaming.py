import json
import multiprocessing
from itertools import islice

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from hf_strategies.data import streaming
from hf_strategies.data.framing import Framing
from hf_strategies.data.packing import PackedBlocks
from hf_strategies.data.streaming import StreamingBlocks
from hf_strategies.data.token_stream import TokenStream, TokenStreamWriter
from hf_strategies.errors import UserError

TEXTS = ["x" * (37 * number % 61) + str(number) for number in range(400)]


@pytest.fixture(params=[None, 200], ids=["eos_only", "bos"])
def framing(request):
    return Framing(eos_token_id=0, bos_token_id=request.param)


@pytest.fixture
def make(bytes_tokenizer, framing):
    def blocks(texts=TEXTS, block_size=32):
        return StreamingBlocks(
            lambda start: iter(texts[start:]),
            bytes_tokenizer.backend_tokenizer.to_str(),
            framing,
            block_size,
            pad_token_id=0,
            isolate_documents=True,
        )

    return blocks


def assert_same_blocks(ours, theirs):
    ours, theirs = list(ours), list(theirs)
    assert len(ours) == len(theirs) > 0
    for one, other in zip(ours, theirs):
        assert one.keys() == other.keys() == {"input_ids", "labels", "position_ids"}
        assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("block_size", [2, 31, 32, 1000])
def test_blocks_are_those_of_the_packed_stream_token_for_token(tmp_path, make, framing, block_size):
    writer = TokenStreamWriter(tmp_path, framing, np.uint16)
    for text in TEXTS:
        writer.add(np.array([byte + 1 for byte in text.encode()], np.uint16), len(text))
    writer.close()
    packed = PackedBlocks(
        TokenStream.open(tmp_path),
        block_size,
        pad_token_id=0,
        bos_token_id=framing.bos_token_id,
        isolate_documents=True,
    )
    assert_same_blocks(make(block_size=block_size), (packed[i] for i in range(len(packed))))


@pytest.mark.parametrize("stop", [0, 1, 77, 250, 10_000])
def test_a_stopped_pass_continues_exactly(make, stop):
    blocks = make()
    iterator = iter(blocks)
    first = list(islice(iterator, stop))
    state = json.loads(json.dumps(blocks.state_dict()))
    resumed = make()
    resumed.load_state_dict(state)
    assert_same_blocks(first + list(resumed), make())


def test_it_goes_back_to_what_training_has_used_when_a_reader_is_ahead(make):
    blocks = make()
    ahead = list(islice(iter(blocks), 200))
    resumed = make()
    resumed.load_state_dict(blocks.state_dict(num_blocks=100))
    assert_same_blocks(ahead[:100] + list(resumed), make())
    with pytest.raises(ValueError, match=r"num_blocks must lie in \[0, 200\], got 201"):
        blocks.state_dict(num_blocks=201)


def test_a_resumed_pass_can_be_saved_again_before_and_after_it_reads(make):
    blocks = make()
    list(islice(iter(blocks), 50))
    state = blocks.state_dict()
    resumed = make()
    resumed.load_state_dict(state)
    assert resumed.state_dict() == state
    list(islice(iter(resumed), 25))
    last = make()
    last.load_state_dict(resumed.state_dict())
    assert_same_blocks(last, islice(make(), 75, None))


def test_the_pass_after_a_resumed_one_starts_at_the_first_document(make):
    blocks = make()
    list(islice(iter(blocks), 50))
    resumed = make()
    resumed.load_state_dict(blocks.state_dict())
    list(resumed)
    assert_same_blocks(resumed, make())


def test_a_long_run_keeps_its_state_small(make):
    blocks = make([*TEXTS * 60])
    for _ in blocks:
        pass
    assert len(blocks._positions) == streaming.REMEMBERED_BATCHES
    assert len(json.dumps(blocks.state_dict())) < 1_000


def test_a_data_loaders_workers_are_refused(make):
    reader = iter(DataLoader(make(), batch_size=None, num_workers=1, multiprocessing_context="fork"))
    (worker,) = multiprocessing.active_children()
    with pytest.raises(UserError, match="dataloader_num_workers to 0"):
        next(reader)
    worker.terminate()  # torch would wait five seconds for it
    worker.join()
