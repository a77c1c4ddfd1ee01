import pickle

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from hf_strategies.data.masked_blocks import MaskedBlocks
from hf_strategies.data.maskings import MASKINGS, MaskingRequest, check_masking_settings
from hf_strategies.data.packing import PackedBlocks
from hf_strategies.data.token_stream import TokenStream
from hf_strategies.data.tokenizers import train_tokenizer
from hf_strategies.errors import UserError


@pytest.fixture(params=MASKINGS.names())
def build(request):
    """Blocks of 100 tokens of text, four of 30 or so."""
    tokenizer = train_tokenizer("bytes", [], objective=request.param)
    ids = np.array(tokenizer("abcdefghij" * 10, add_special_tokens=False).input_ids, np.uint16)
    stream = TokenStream(ids, np.array([0]), np.array([100]), np.array([100]))

    def blocks(seed: int) -> MaskedBlocks:
        masking = MaskingRequest(objective=request.param, seed=seed).build(tokenizer, 32)
        packed = PackedBlocks(stream, masking.tokens_per_block, pad_token_id=0, overlap=0)
        return MaskedBlocks(packed, masking, seed)

    return blocks


def same(one, other) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_an_epoch_hides_something_of_its_own_and_the_same_again(build):
    blocks = build(1)
    assert same(blocks.draw(2, 0), build(1).draw(2, 0))
    assert not same(blocks.draw(2, 0), blocks.draw(2, 1))
    assert not same(blocks.draw(2, 0), build(2).draw(2, 0))


def test_two_blocks_of_one_text_hide_different_places(build):
    examples = [build(1).draw(index, 0)["labels"] for index in range(3)]
    assert len({tuple(labels.tolist()) for labels in examples}) == 3


def test_an_evaluation_hides_the_same_in_every_run_and_not_what_training_hides(build):
    one, other = build(1), build(2)
    assert all(same(a, b) for a, b in zip(one, other, strict=True))
    assert same(one[-1], one[len(one) - 1])
    assert not any(same(build(0)[index], build(0).draw(index, 0)) for index in range(3))


def test_the_texts_are_cut_without_an_overlap_and_nothing_is_lost(build):
    blocks = build(1)
    assert len(blocks) == -(-100 // blocks.blocks.block_size)
    assert blocks.block_size == 32
    whole = np.concatenate([blocks.blocks.tokens(index) for index in range(len(blocks))])
    assert whole.tolist() == blocks.blocks.stream.ids.tolist()
    with pytest.raises(IndexError):
        blocks[len(blocks)]


def test_workers_make_the_same_examples(build):
    blocks = build(1)
    (batch,) = DataLoader(blocks, batch_size=8, num_workers=1)
    assert all(
        same({name: rows[index] for name, rows in batch.items()}, blocks[index]) for index in range(len(blocks))
    )
    assert same(pickle.loads(pickle.dumps(blocks)).draw(1, 3), blocks.draw(1, 3))


@pytest.mark.parametrize(
    ("objective", "hyper", "complaint"),
    [
        (
            "masked",
            {"ratee": 0.1},
            r"objective masked has no setting 'ratee', did you mean 'rate'\? \(known: rate, wh",
        ),
        ("masked", {"mean_span_length": 3}, "objective masked has no setting 'mean_span_length'"),
        ("causal", {"rate": 0.1}, "objective causal has no setting 'rate'$"),
        ("span", {"rate": 15}, r"rate must be a number in \(0, 1\), got 15"),
        ("masked", {"whole_words": 1}, "whole_words must be true or false, got 1"),
    ],
)
def test_settings_that_an_objective_does_not_have_are_refused(objective, hyper, complaint):
    with pytest.raises(UserError, match=complaint):
        check_masking_settings(objective, hyper)


def test_settings_that_it_has_are_those_of_its_builder():
    check_masking_settings("masked", {"rate": 0.4, "whole_words": True})
    check_masking_settings("span", {"rate": 0.5, "mean_span_length": 10})
    check_masking_settings("causal", {})
    for entry in MASKINGS:
        assert set(entry.facts["hyperparameters"]) == set(entry.build.__kwdefaults__)
