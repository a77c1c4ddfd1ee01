"""The settings of scoring prompts, one dataclass per topic, like those of `topics`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from hf_strategies.arguments.topics import setting


@dataclass
class PromptingArguments:
    """Prompting."""

    label_words: dict[str, Any] | None = setting(
        None, "The word that stands for each class, CLASS=WORD,... (default: the classes' names)."
    )
    shots: list[str] = setting(["0", "4"], "Demonstrations in a prompt, one number or several, each for itself.")
    num_seeds: int = setting(5, "Draws of those demonstrations, which their score depends on: mean and spread.")
    calibration: Literal["contextual", "pmi_dc", "none"] = setting(
        "contextual",
        "What is taken off a word's likelihood: that behind a prompt without content, that behind its last words.",
    )
    length_normalization: bool = setting(False, "Divide a word's log-likelihood by the number of its tokens.")
    compare: list[str] | None = setting(
        None, "Finished folders of scripts/finetune.py (or of this script), to stand in the same table."
    )


# Of the topics that are shared with jobs that train, and of the host's settings, what scoring has a use for.
SCORED = frozenset({
    "task", "text_column", "text_pair_column", "label_column", "prompt_template",
    "model_name_or_path", "model_revision", "trust_remote_code", "attn_implementation", "tokenizer_name",
    "config_overrides",
    "train_file", "validation_file", "dataset_name", "dataset_config_name", "validation_share", "max_train_samples",
    "max_eval_samples", "max_seq_length", "max_broken_share",
    "label_words", "shots", "num_seeds", "calibration", "length_normalization", "compare",
    "output_dir", "seed", "data_seed", "per_device_eval_batch_size", "use_cpu", "bf16", "fp16",
})  # fmt: skip
