"""Tokenizing and packing the embedded corpus: ours against what transformers' example run_clm.py does.

Both sides get the same documents, the same trained tokenizer, the same number of processes and empty caches, and run
in turn, each in a process of its own. Ours is timed from the file on disk to blocks that can be trained on: reading,
hashing, splitting, tokenizing, writing. Theirs is timed from a loaded data set: tokenize, then group_texts.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

BLOCK_SIZE = 512
SIDES = ("ours", "run_clm")


def run(*, repetitions: int = 5, num_workers: int = 2, vocab_size: int = 4096) -> list[dict[str, Any]]:
    """Measure both sides in turn.

    Args:
        repetitions: Pairs of measurements.
        num_workers: Processes on each side.
        vocab_size: Size of the byte-level BPE tokenizer, trained before the clock starts.

    Returns:
        One row per side with its median tokens per second, and one with the median and the range of the ratio of the
        two within a pair.
    """
    from . import require_at_least  # each side runs this file as a script, which has no siblings

    require_at_least(1, repetitions=repetitions, num_workers=num_workers)
    with tempfile.TemporaryDirectory() as folder:
        corpus, tokenizer = Path(folder, "corpus.jsonl"), Path(folder, "tokenizer")
        _prepare(corpus, tokenizer, vocab_size)
        pairs = [{side: _measure(side, corpus, tokenizer, num_workers) for side in SIDES} for _ in range(repetitions)]
    rows: list[dict[str, Any]] = [
        {
            "measurement": f"{side}: tokenize and pack",
            "tokens_per_second": round(statistics.median(pair[side]["tokens_per_second"] for pair in pairs)),
            "tokens_kept": pairs[0][side]["tokens_kept"],
            "repetitions": repetitions,
        }
        for side in SIDES
    ]
    ratios = [pair["ours"]["tokens_per_second"] / pair["run_clm"]["tokens_per_second"] for pair in pairs]
    rows.append(
        {
            "measurement": "ours / run_clm",
            "ratio": round(statistics.median(ratios), 2),
            "lowest": round(min(ratios), 2),
            "highest": round(max(ratios), 2),
            "repetitions": repetitions,
        }
    )
    return rows


def _prepare(corpus: Path, tokenizer: Path, vocab_size: int) -> None:
    from hf_strategies.data.standard_library import standard_library_documents
    from hf_strategies.data.tokenizers import train_tokenizer

    texts = [document.text for document in standard_library_documents()]
    corpus.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    train_tokenizer("bpe", texts, vocab_size).save_pretrained(tokenizer)


def _measure(side: str, corpus: Path, tokenizer: Path, num_workers: int) -> dict[str, float]:
    """Run one side in a process of its own with empty caches."""
    with tempfile.TemporaryDirectory() as cache:
        caches = {"HF_STRATEGIES_CACHE": cache, "HF_HOME": cache, "HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}
        done = subprocess.run(
            [sys.executable, __file__, side, str(corpus), str(tokenizer), str(num_workers)],
            env=os.environ | caches,
            stdout=subprocess.PIPE,
            check=True,
        )
    return json.loads(done.stdout.splitlines()[-1])


def _ours(corpus: Path, tokenizer_folder: Path, num_workers: int) -> tuple[float, int, int]:
    from transformers import AutoTokenizer

    from hf_strategies.data import TextSource, prepare_text

    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
    source = TextSource(files=(str(corpus),))
    started = time.perf_counter()
    prepared = prepare_text(source, tokenizer=tokenizer, block_size=BLOCK_SIZE, num_workers=num_workers)
    seconds = time.perf_counter() - started
    tokens = sum(side.tokens for side in prepared.report.sides.values())
    return seconds, tokens, prepared.train.num_tokens + prepared.validation.num_tokens


def _run_clm(corpus: Path, tokenizer_folder: Path, num_workers: int) -> tuple[float, int, int]:
    """The two maps of examples/pytorch/language-modeling/run_clm.py, with its defaults."""
    from itertools import chain

    from datasets import load_dataset
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
    raw = load_dataset("json", data_files=str(corpus), split="train")

    def tokenize(examples: dict[str, list]) -> Any:
        return tokenizer(examples["text"])

    def group_texts(examples: dict[str, list]) -> dict[str, list]:
        concatenated = {name: list(chain(*examples[name])) for name in examples}
        total = len(concatenated["input_ids"]) // BLOCK_SIZE * BLOCK_SIZE
        result = {
            name: [values[i : i + BLOCK_SIZE] for i in range(0, total, BLOCK_SIZE)]
            for name, values in concatenated.items()
        }
        result["labels"] = result["input_ids"].copy()
        return result

    started = time.perf_counter()
    tokenized = raw.map(tokenize, batched=True, num_proc=num_workers, remove_columns=raw.column_names)
    blocks = tokenized.map(group_texts, batched=True, num_proc=num_workers)
    seconds = time.perf_counter() - started
    return seconds, sum(map(len, tokenized["input_ids"])), len(blocks) * BLOCK_SIZE


if __name__ == "__main__":
    measure = {"ours": _ours, "run_clm": _run_clm}[sys.argv[1]]
    elapsed, num_tokens, num_kept = measure(Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
    print(json.dumps({"tokens_per_second": num_tokens / elapsed, "tokens_kept": num_kept}))
