"""python packing_speed.py --texts FILE --lengths KIND ...: train on the same examples packed and padded, in turn.

A script of its own, so that nothing that ran before weighs on its times; it writes all_results.json.
"""

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from hf_strategies.data.example_packing import PackedExamples, TokenExample
from hf_strategies.metrics.language_modeling import IGNORED
from hf_strategies.tasks.causal_lm import PadExamples, SingleExamples

ROW = 512  # tokens
PADDED_BATCH = 8  # examples
SHORTEST = 16
PROMPT_SHARE = 4  # one token in so many belongs to the prompt, which is not learned
NUM_CHECKED = 12  # examples whose gradients are compared


def draw_lengths(kind: str, count: int, generator: np.random.Generator) -> list[int]:
    """Draw lengths in tokens: "uniform" up to a row, or "skewed", log-normal with a median of 64 and a long tail."""
    if kind == "uniform":
        return generator.integers(SHORTEST, ROW + 1, count).tolist()
    return np.clip(np.exp(generator.normal(np.log(64), 1.0, count)), SHORTEST, ROW).astype(int).tolist()


def cut(tokens: Sequence[int], lengths: Sequence[int]) -> list[TokenExample]:
    """Cut a stream of tokens into examples; it begins anew where it ends."""
    examples, place = [], 0
    for length in lengths:
        place = place if place + length <= len(tokens) else 0
        ids = list(tokens[place : place + length])
        prompt = length // PROMPT_SHARE
        examples.append(TokenExample(ids, [IGNORED] * prompt + ids[prompt:]))
        place += length
    return examples


def gradient_difference(model: nn.Module, examples: Sequence[TokenExample], pad_token_id: int) -> float:
    """Return the greatest difference between an element's gradients packed and padded, over the greatest gradient."""
    collate = PadExamples(pad_token_id)
    gradients = []
    for rows in (PackedExamples(examples, ROW, pad_token_id=pad_token_id), SingleExamples(examples)):
        model.zero_grad()
        batch = collate([rows[number] for number in range(len(rows))])
        model(**batch, use_cache=False).loss.backward()  # as in training: with a cache, examples would see each other
        gradients.append(torch.cat([param.grad.flatten() for param in model.parameters()]))
    packed, padded = gradients
    return float((packed - padded).abs().max() / padded.abs().max())


def seconds_of(model: nn.Module, rows: Dataset, batch_size: int, pad_token_id: int, max_steps: int | None) -> float:
    """Train on all rows once and return the seconds that it takes."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    order = torch.Generator().manual_seed(0)
    loader = DataLoader(
        rows, batch_size=batch_size, shuffle=True, generator=order, collate_fn=PadExamples(pad_token_id)
    )
    started = time.perf_counter()
    for step, batch in enumerate(loader):
        if step == max_steps:
            break
        model(**batch, use_cache=False).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--texts", type=Path)
    parser.add_argument("--tokenizer", type=Path)
    parser.add_argument("--lengths")
    parser.add_argument("--examples", type=int)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--max_steps", type=int)
    parser.add_argument("--output_dir", type=Path)
    given = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(given.tokenizer)
    text = "\n\n".join(json.loads(line)["text"] for line in given.texts.read_text("utf-8").splitlines())
    lengths = draw_lengths(given.lengths, given.examples, np.random.default_rng(given.seed))
    examples = cut(tokenizer(text, verbose=False)["input_ids"], lengths)
    torch.manual_seed(given.seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer), hidden_size=320, intermediate_size=864, num_hidden_layers=4,
            num_attention_heads=5, num_key_value_heads=5, max_position_embeddings=ROW, tie_word_embeddings=True,
        )
    )  # fmt: skip
    pad = tokenizer.pad_token_id
    difference = gradient_difference(model, examples[:NUM_CHECKED], pad)
    packed, padded = PackedExamples(examples, ROW, pad_token_id=pad), SingleExamples(examples)
    # As many tokens of examples per update on both sides, as nearly as whole rows can.
    packed_batch = max(1, round(PADDED_BATCH * len(packed) / len(padded)))
    for rows, batch in ((packed, packed_batch), (padded, PADDED_BATCH)):
        seconds_of(model, rows, batch, pad, max_steps=1)  # what is slow only once
    pairs = [
        (
            seconds_of(model, packed, packed_batch, pad, given.max_steps),
            seconds_of(model, padded, PADDED_BATCH, pad, given.max_steps),
        )
        for _ in range(given.rounds)
    ]
    tokens = sum(lengths)
    longest = [max(lengths[start : start + PADDED_BATCH]) for start in range(0, len(lengths), PADDED_BATCH)]
    results = {
        "packed_tokens_per_second": tokens / statistics.median(one for one, _ in pairs),
        "padded_tokens_per_second": tokens / statistics.median(other for _, other in pairs),
        "speedup": statistics.median(other / one for one, other in pairs),
        "lowest_speedup": min(other / one for one, other in pairs),
        "highest_speedup": max(other / one for one, other in pairs),
        "packed_fill": packed.fill,
        "padded_fill": tokens / (PADDED_BATCH * sum(longest)),
        "gradient_difference": difference,
    }
    given.output_dir.mkdir(parents=True)
    (given.output_dir / "all_results.json").write_text(json.dumps(results), "utf-8")


if __name__ == "__main__":
    main()
