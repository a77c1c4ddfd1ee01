import random

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from hf_strategies.data.example_packing import PackedExamples, TokenExample, pack_lengths
from hf_strategies.metrics.language_modeling import IGNORED

PAD = 0


def examples(lengths):
    torch.manual_seed(0)
    made = [torch.randint(1, 50, (length,)).tolist() for length in lengths]
    return [TokenExample(ids, [IGNORED] * (len(ids) // 3) + ids[len(ids) // 3 :]) for ids in made]


def test_every_item_is_in_one_bin_and_no_bin_overflows():
    draw = random.Random(0)
    lengths = [draw.randint(1, 64) for _ in range(300)]
    bins = pack_lengths(lengths, 64)
    assert sorted(item for items in bins for item in items) == list(range(300))
    assert max(sum(lengths[item] for item in items) for items in bins) <= 64
    assert len(bins) <= 11 / 9 * -(-sum(lengths) // 64) + 4  # the bound that its authors prove
    assert bins == sorted(bins, key=lambda items: items[0])


@pytest.mark.parametrize(
    ("lengths", "bins"),
    [
        ([4, 4, 4], [[0, 1], [2]]),
        ([8, 8], [[0], [1]]),
        ([5, 3, 4, 4], [[0, 1], [2, 3]]),
        ([7, 2, 5, 1], [[0, 3], [1, 2]]),
    ],
)
def test_small_cases_are_packed_as_by_hand(lengths, bins):
    assert pack_lengths(lengths, 8) == bins


def test_a_row_holds_its_examples_one_behind_the_other():
    packed = PackedExamples(
        [TokenExample([5, 6, 7], [IGNORED, 6, 7]), TokenExample([8, 9], [8, 9])], 6, pad_token_id=PAD
    )
    assert len(packed) == 1
    row = {name: values.tolist() for name, values in packed[0].items()}
    assert row["input_ids"] == [5, 6, 7, 8, 9, PAD]
    assert row["labels"] == [IGNORED, 6, 7, IGNORED, 9, IGNORED]  # 8 would be predicted from the example before it
    assert row["position_ids"] == [0, 1, 2, 0, 1, 0]
    assert packed.fill == pytest.approx(5 / 6)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_packed_examples_have_the_gradients_of_examples_alone(attention):
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=50, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        attn_implementation=attention,
    )  # fmt: skip
    model = LlamaForCausalLM(config).double()
    found = examples([7, 12, 3, 9, 5, 16])
    targets = sum(label != IGNORED for example in found for label in example.labels[1:])
    for example in found:
        ids, labels = (torch.tensor([values]) for values in example)
        model(input_ids=ids, labels=labels, num_items_in_batch=targets, use_cache=False).loss.backward()
    alone = [param.grad.clone() for param in model.parameters()]
    model.zero_grad()
    packed = PackedExamples(found, 20, pad_token_id=PAD)
    assert len(packed) < len(found)
    rows = [packed[number] for number in range(len(packed))]
    batch = {name: torch.stack([row[name] for row in rows]) for name in rows[0]}
    model(**batch, num_items_in_batch=targets, use_cache=False).loss.backward()
    for param, expected in zip(model.parameters(), alone, strict=True):
        torch.testing.assert_close(param.grad, expected, rtol=0, atol=1e-6)
