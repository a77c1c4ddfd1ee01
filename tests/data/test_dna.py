import json

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from hf_strategies.data import TextSource, TokenizerRequest, prepare_text
from hf_strategies.data.bases import complements, reverse_complement
from hf_strategies.data.encoding import TextEncoder, base_ids
from hf_strategies.data.packing import PackedBlocks
from hf_strategies.data.strands import StrandedBlocks
from hf_strategies.data.token_stream import TokenStream
from hf_strategies.data.tokenizers import SPECIAL_TOKENS, train_tokenizer
from hf_strategies.errors import UserError

EOS, A, C, G, T, N = range(6)


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer("bases", ["ACGT"])


def test_a_base_is_a_token_in_either_case_and_a_code_for_several_is_an_n(tokenizer):
    assert tokenizer("ACGTNacgtnRyBv").input_ids == [A, C, G, T, N] * 2 + [N] * 4
    assert tokenizer.decode([A, C, N, T]) == "ACNT"
    assert len(tokenizer) == 6


@pytest.mark.parametrize("objective", sorted(SPECIAL_TOKENS))
def test_bases_are_looked_up_to_the_ids_that_the_tokenizer_gives(objective):
    tokenizer_json = train_tokenizer("bases", [], objective=objective).backend_tokenizer.to_str()
    texts = ["", "ACGTN", "acgtnRYSWKMBDHVryswkmbdhv", "x\u00e9 <|endoftext|>[MASK]\n\U0001f600A"]
    own = Tokenizer.from_str(tokenizer_json)
    own.encode_special_tokens = True
    expected = [own.encode(text, add_special_tokens=False).ids for text in texts]
    assert base_ids(json.loads(tokenizer_json), np.uint16) is not None
    assert [ids.tolist() for ids in TextEncoder(tokenizer_json, np.uint16).encode(texts)] == expected


@pytest.mark.parametrize("kind", ["bytes", "chars"])
def test_other_tokenizers_are_no_tables_of_bases(kind):
    spec = json.loads(train_tokenizer(kind, ["ACGTN"]).backend_tokenizer.to_str())
    assert base_ids(spec, np.uint16) is None


def test_text_that_is_no_dna_is_refused():
    with pytest.raises(UserError, match=r"tokenizer bases reads the bases A C G T N, .*; got 'e' in 'The end'"):
        train_tokenizer("bases", ["ACGT", "The end"])


def test_the_other_strand_read_twice_is_the_first(tokenizer):
    assert reverse_complement("AACGTN") == "NACGTT"
    partners = complements(tokenizer)
    assert partners.tolist() == [EOS, T, G, C, A, N]
    with pytest.raises(UserError, match="reverse_complement needs a token for each base"):
        complements(train_tokenizer("bytes", []))


@pytest.fixture
def packed():
    """EOS A A C EOS G EOS, in blocks of 5 that share a token: EOS A A C EOS, EOS G EOS and padding"""
    stream = TokenStream(
        np.array([EOS, A, A, C, EOS, G, EOS], np.uint16), np.array([0, 4]), np.array([3, 1]), np.array([3, 1])
    )
    return PackedBlocks(stream, 5, pad_token_id=EOS)


def test_a_block_of_the_other_strand_is_a_whole_example(packed, tokenizer):
    blocks = StrandedBlocks(packed, complements(tokenizer), seed=3)
    drawn = [[blocks.draw(index, epoch)["input_ids"].tolist() for epoch in range(40)] for index in range(2)]
    ways = [[[EOS, A, A, C, EOS], [EOS, G, T, T, EOS]], [[EOS, G, EOS, EOS, EOS], [EOS, C, EOS, EOS, EOS]]]
    for found, (one, other) in zip(drawn, ways, strict=True):
        assert all(ids in (one, other) for ids in found)
        assert 8 <= found.count(other) <= 32  # 20 +- 3.2
    assert drawn[0][:5] == [blocks.draw(0, epoch)["input_ids"].tolist() for epoch in range(5)]
    flipped = next(epoch for epoch in range(40) if drawn[1][epoch][1] == C)
    assert blocks.draw(1, flipped)["labels"].tolist() == [-100, C, EOS, -100, -100]
    assert blocks.draw(-1, flipped)["input_ids"].tolist() == drawn[1][flipped]


def test_blocks_and_seeds_draw_strands_of_their_own_and_an_index_none(packed, tokenizer):
    def drawn(seed, index):
        blocks = StrandedBlocks(packed, complements(tokenizer), seed)
        return [blocks.draw(index, epoch)["input_ids"][1].item() in (G if index == 0 else C,) for epoch in range(40)]

    assert len({tuple(drawn(seed, index)) for seed in (0, 1) for index in (0, 1)}) == 4
    blocks = StrandedBlocks(packed, complements(tokenizer), seed=0)
    assert all(torch.equal(blocks[index]["input_ids"], packed[index]["input_ids"]) for index in range(2))
    assert (len(blocks), blocks.block_size) == (2, 5)


def test_a_genome_becomes_blocks_that_are_read_from_either_strand(real_data):
    prepared = prepare_text(
        TextSource(files=(str(real_data("dna/MT-human.fa")),), region_bases=512),
        tokenizer=TokenizerRequest(kind="bases"),
        block_size=512,
        strand_seed=1,
        num_workers=1,
    )
    train, validation = prepared.report.sides["train"], prepared.report.sides["validation"]
    assert train.bytes + validation.bytes == 16_569
    assert validation.bytes >= 512
    assert isinstance(prepared.train, StrandedBlocks)
    assert isinstance(prepared.validation, PackedBlocks)
    assert "1 lowercase (soft-masked) bases read as capitals" in prepared.report.summary()
    (first,) = {tuple(prepared.train[0]["input_ids"].tolist())}
    other = tuple(reversed([EOS if token == EOS else complements(prepared.tokenizer)[token] for token in first]))
    assert {tuple(prepared.train.draw(0, epoch)["input_ids"].tolist()) for epoch in range(20)} == {first, other}


@pytest.mark.parametrize("option", [{"streaming": True}, {"isolate_documents": True}])
def test_strands_go_with_blocks_that_have_an_epoch_and_no_isolation(option, real_data):
    with pytest.raises(UserError, match="reverse_complement goes with objective causal, without streaming and"):
        prepare_text(
            TextSource(files=(str(real_data("dna/MT-human.fa")),)),
            tokenizer=TokenizerRequest(kind="bases"),
            block_size=64,
            strand_seed=0,
            **option,
        )
