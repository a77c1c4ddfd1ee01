"""The runs that are spread: a pretraining, and two fine-tunings on rows of many lengths."""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..fault_drills.processes import write_corpus
from .spreads import GLOBAL_BATCH

UPDATES = 20
SIZES = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2}
# Even: transformers 5.23 trains tied embeddings wrongly where ranks hold different numbers of their rows.
VOCABULARY = 260
# Whole updates: of an epoch's last rows, those that processes cannot share evenly are learned twice.
TRAINED_ROWS, HELD_OUT_ROWS = 12 * GLOBAL_BATCH, 16

# In float32, so that nothing but the order of sums differs; the clipping is at work in most of the updates.
COMMON: dict[str, Any] = {
    "optimizer": "adamw", "scheduler": "cosine", "learning_rate": 3e-3, "warmup_steps": 2, "max_grad_norm": 0.5,
    "global_batch_size": GLOBAL_BATCH, "max_steps": UPDATES, "logging_steps": 1, "eval_strategy": "steps",
    "eval_steps": UPDATES // 2, "save_strategy": "no", "load_best_model_at_end": False, "num_completions": 0,
    "bf16": False, "use_cpu": True,
}  # fmt: skip


@dataclass(frozen=True)
class Job:
    """One run, however it is spread.

    Args:
        name: In the table.
        script: That makes it.
        settings: Its flags besides those that all have; "{folder}" stands for the folder of `write_material`.
        recipe: That is named; empty for the script's own.
    """

    name: str
    script: str
    settings: Mapping[str, Any]
    recipe: str = ""

    def words(self, folder: Path) -> list[str]:
        """Write its command line; `folder` has what `write_material` wrote."""
        flags = {name: str(value).format(folder=folder) for name, value in {**COMMON, **self.settings}.items()}
        words = [word for name, value in flags.items() for word in (f"--{name}", value)]
        return [self.recipe, *words] if self.recipe else words


_TUNED: dict[str, Any] = {
    "task": "causal-lm", "model_name_or_path": "{folder}/base", "train_file": "{folder}/counts.jsonl",
    "validation_file": "{folder}/held_out.jsonl", "packing": False, "max_seq_length": 64,
}  # fmt: skip

JOBS = {
    job.name: job
    for job in (
        Job(
            "pretraining",
            "pretrain",
            {
                **SIZES, "tokenizer": "bytes", "vocab_size": VOCABULARY, "max_seq_length": 32, "max_eval_samples": 12,
                "train_file": "{folder}/corpus.txt", "validation_share": 0.2,
            },
        ),
        Job("ragged rows", "finetune", _TUNED, recipe="full"),
        Job("LoRA", "finetune", {**_TUNED, "learning_rate": 1e-2, "adapter_kwargs": "rank=4,alpha=8"}, recipe="lora"),
    )
}  # fmt: skip


def write_material(folder: Path) -> None:
    """Write what the jobs learn from: a corpus, answers of very different lengths, and a model that is fine-tuned."""
    import torch

    from hf_strategies.data.tokenizers import train_tokenizer
    from hf_strategies.models import resolve_sizes
    from hf_strategies.models.factory import create_config, create_model

    write_corpus(folder / "corpus.txt")
    draw = random.Random(0)
    rows = [
        {"prompt": f"count to {count}: ", "completion": " ".join(map(str, range(1, count + 1)))}
        for count in (draw.randint(1, 16) for _ in range(TRAINED_ROWS + HELD_OUT_ROWS))
    ]
    for name, part in (("counts", rows[:TRAINED_ROWS]), ("held_out", rows[TRAINED_ROWS:])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part), encoding="utf-8")
    tokenizer = train_tokenizer("bytes", [], objective="causal")
    tokens = {f"{kind}_token_id": getattr(tokenizer, f"{kind}_token_id") for kind in ("bos", "eos", "pad")}
    sizes, _ = resolve_sizes("transformer_pp", SIZES)
    config = create_config("transformer_pp", vocab_size=VOCABULARY, max_seq_length=64, sizes=sizes, tokens=tokens)
    torch.manual_seed(0)
    create_model(config).save_pretrained(folder / "base")
    tokenizer.save_pretrained(folder / "base")
