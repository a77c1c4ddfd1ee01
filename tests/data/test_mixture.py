import json
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest

from hf_strategies.data import TokenizerRequest, preparation
from hf_strategies.data.mixed_blocks import SOURCE, JoinedBlocks, MixedBlocks
from hf_strategies.data.mixture import prepare_mixture
from hf_strategies.data.mixture_order import MixtureOrder, Phase
from hf_strategies.data.mixture_request import order_of, parse_mixture
from hf_strategies.data.packing import PackedBlocks
from hf_strategies.data.token_stream import TokenStream
from hf_strategies.errors import UserError


def order(*weights, **later):
    phases = [Phase(0, tuple(map(Fraction, weights)))]
    phases += [Phase(int(begin[1:]), tuple(map(Fraction, after))) for begin, after in later.items()]
    return MixtureOrder(phases)


@pytest.mark.parametrize("weights", [("0.7", "0.2", "0.1"), ("1/3", "1/3", "1/3"), ("0", "0.999", "0.001"), ("1",)])
def test_every_prefix_has_the_proportions_to_within_a_sample_or_two(weights):
    dealt, counts = order(*weights), [0] * len(weights)
    for position in range(3_000):
        source, turn = dealt.place(position)
        assert turn == counts[source]
        counts[source] += 1
        assert dealt.counts(position + 1) == counts
        for count, weight in zip(counts, weights, strict=True):
            assert abs(count - (position + 1) * Fraction(weight)) <= Fraction(3, 2)


def test_a_place_far_into_a_run_follows_at_once_and_exactly():
    dealt = order("0.1", "0.9")
    first, second = dealt.counts(10**15)
    assert (first, second) == (10**14, 9 * 10**14)
    assert dealt.place(10**15)[1] in (first, second)


def test_weights_change_at_their_share_of_the_run():
    dealt = order("0.5", "0.5", _100=("0.1", "0.9"))
    sources = [dealt.place(position)[0] for position in range(300)]
    assert (sources[:100].count(0), sources[100:200].count(0), sources[200:].count(0)) == (50, 10, 10)
    assert dealt.counts(300) == [70, 230]
    turns = [dealt.place(position) for position in range(300)]
    assert sorted(turns) == [(0, n) for n in range(70)] + [(1, n) for n in range(230)]


def files(**weights):
    return {name: {"train_file": f"{name}.jsonl", "weight": weight} for name, weight in weights.items()}


def test_a_setting_says_sources_and_weights_by_share_of_the_run():
    sources = parse_mixture(
        {**files(web={0: 0.75, 0.8: 0.5}), "code": {"dataset_name": "c", "weight": {"0": 0.25, "0.8": "0.5"}}}
    )
    assert [source.train.files for source in sources] == [("web.jsonl",), ()]
    dealt = order_of(sources, 1_000)
    assert dealt.counts(800) == [600, 200]
    assert dealt.counts(1_000) == [700, 300]


@pytest.mark.parametrize(
    ("mixture", "complaint"),
    [
        ({}, "mixture is empty: expected at least one source"),
        (files(a=0.5, b=0.4), r"the weights of a mixture must sum to 1, got 0\.9$"),
        (files(a={0: 0.5, 0.9: 0.7}, b=0.5), r"must sum to 1, got 1\.2 from 0\.9 of the run on"),
        (files(a=1.5), r"mixture, a: weights, and shares of the run, lie in \[0, 1\], got 1\.5"),
        (files(a=True), r"lie in \[0, 1\], got True"),
        (files(a="much"), r"lie in \[0, 1\], got 'much'"),
        (files(a={0.5: 1}), r"mixture, a: expected weights from share 0 of the run on, got \{0\.5: 1\}"),
        (files(a=0, b=1), "mixture, a: expected a weight above 0, got 0: leave the source out"),
        ({"a": {"train_file": "x"}}, "mixture, a: expected a weight, its share of the tokens, got none"),
        ({"a": {"weight": 1}}, "mixture, a: expected either train_file or dataset_name"),
        ({"a": {"train_files": "x", "weight": 1}}, "mixture, a: no key 'train_files', did you mean 'train_file'"),
        ({"a": "x.txt"}, r"mixture, a: expected \{train_file or dataset_name: \.\.\., weight: \.\.\.\}, got 'x\.txt'"),
        (files(**{"a b": 1}), "mixture: expected a name of letters, digits, - and _, got 'a b'"),
    ],
)
def test_what_is_no_mixture_is_refused_in_one_line(mixture, complaint):
    with pytest.raises(UserError, match=complaint) as refused:
        parse_mixture(mixture)
    assert "\n" not in str(refused.value)


def blocks(first: int, number: int) -> PackedBlocks:
    """Blocks of four tokens that begin with first, first + 1, ..."""
    ids = np.repeat(np.arange(first, first + number + 1), 3)[: number * 3 + 1]
    return PackedBlocks(
        TokenStream(ids.astype(np.uint16), np.array([0]), np.array([len(ids)]), np.array([len(ids)])),
        4,
        pad_token_id=0,
    )


def test_a_source_that_is_read_through_begins_anew_in_another_order():
    def run(seed, num_samples=80):
        mixed = MixedBlocks({"a": blocks(100, 10), "b": blocks(200, 7)}, order("0.5", "0.5"), num_samples, seed)
        return mixed, [(mixed[n][SOURCE].item(), mixed[n]["input_ids"][0].item()) for n in range(num_samples)]

    mixed, samples = run(1)
    read = [first for source, first in samples if source == 0]
    epochs = [read[begin : begin + 10] for begin in range(0, 40, 10)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(100, 110))] * 4
    assert len(set(map(tuple, epochs))) == 4
    assert Counter(source for source, _ in samples) == {0: 40, 1: 40}
    assert mixed.epochs() == {"a": 4.0, "b": 40 / 7}
    assert samples == run(1)[1] != run(2)[1]
    assert samples == run(1, num_samples=500)[1][:80]
    with pytest.raises(IndexError):
        mixed[80]


def test_joined_blocks_stand_behind_each_other():
    joined = JoinedBlocks({"a": blocks(100, 3), "b": blocks(200, 2)})
    assert [block["input_ids"][0].item() for block in joined] == [100, 101, 102, 200, 201]
    assert joined.rows() == {"a": slice(0, 3), "b": slice(3, 5)}
    assert joined.num_bytes == blocks(100, 3).num_bytes + blocks(200, 2).num_bytes
    with pytest.raises(IndexError):
        joined[5]


def test_a_tokenizer_learns_from_every_source_and_tokens_are_counted_by_source(tmp_path):
    texts = {"greek": "\u03b1\u03b2\u03b3", "kana": "\u3042\u3044"}
    for name, text in texts.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps({"text": text * n}) + "\n" for n in range(1, 60)))
    written = {name: {"train_file": str(tmp_path / f"{name}.jsonl"), "weight": 0.5} for name in texts}
    options = {"tokenizer": TokenizerRequest(kind="chars"), "block_size": 8, "num_workers": 1, "num_samples": 600}
    prepared = prepare_mixture(parse_mixture(written), seed=0, validation_share=0.2, **options)
    assert set("".join(texts.values())) <= set(prepared.tokenizer.get_vocab())
    assert set(prepared.report.sides) == {f"{name} {side}" for name in texts for side in ("train", "validation")}
    seen = {name: set() for name in texts}
    for number in range(len(prepared.train)):
        sample = prepared.train[number]
        seen[[*texts][sample[SOURCE].item()]] |= set(
            prepared.tokenizer.decode(sample["input_ids"], skip_special_tokens=True)
        )
    assert seen == {name: set(text) for name, text in texts.items()}
    assert f"greek: {prepared.train.epochs()['greek']:.2f} epochs" in prepared.report.summary()


def test_a_tokenizer_learns_of_each_source_as_much_as_it_weighs_in_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(preparation, "TOKENIZER_TRAINING_BYTES", 3000)
    letters = {"early": range(0x4E00, 0x4E80), "late": range(0x5E00, 0x5E80)}
    for name, codes in letters.items():  # a letter to each text, ten times: 30 bytes
        lines = [json.dumps({"text": 10 * chr(code)}) for code in codes]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))

    def learned(early, late):
        weights = {"early": early, "late": late}
        written = {name: {"train_file": str(tmp_path / f"{name}.jsonl"), "weight": weights[name]} for name in weights}
        options = {"block_size": 8, "num_workers": 1, "num_samples": 40, "seed": 0}
        prepared = prepare_mixture(parse_mixture(written), tokenizer=TokenizerRequest(kind="chars"), **options)
        vocabulary = prepared.tokenizer.get_vocab()
        return [sum(chr(code) in vocabulary for code in codes) for codes in letters.values()]

    assert learned(0.9, 0.1) == [90, 10]
    assert learned(0.2, 0.8) == [20, 80]
    assert learned({0: 1, 0.75: 0}, {0: 0, 0.75: 1}) == [75, 25]


def test_the_mean_weight_is_that_of_the_whole_run():
    (source, _) = parse_mixture(
        {
            "a": {"train_file": "a", "weight": {0: 0.25, 0.5: 0, 0.75: 1}},
            "b": {"train_file": "b", "weight": {0: 0.75, 0.5: 1, 0.75: 0}},
        }
    )
    assert source.mean_weight() == Fraction(3, 8)  # 0.125 of the first half, and a quarter
