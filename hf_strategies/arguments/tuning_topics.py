"""The settings of fine-tuning, one dataclass per topic, like those of `topics`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

from hf_strategies.arguments.prompting_topics import SCORED, PromptingArguments
from hf_strategies.arguments.topics import (
    TOPICS,
    DataArguments,
    GuardArguments,
    ModelArguments,
    RunArguments,
    StrategyArguments,
    setting,
)


@dataclass
class TaskArguments:
    """Task."""

    task: str | None = setting(None, "What is to be learned; the checkpoint gets the head for it.")
    label_column: str = setting("label", "Column of the label, of the target text, or of a list of tags.")
    regression: bool = setting(False, "Learn labels as numbers, also where all are whole (text-classification).")
    text_pair_column: str | None = setting(None, "Column of a second text, where rows are pairs.")
    image_column: str = setting("image", "Column of the image, in a data set.")
    max_target_length: int = setting(128, "Tokens of a target text at most (seq2seq).")
    prompt_template: str | None = setting(
        None, "Wording of a prompt with the columns' names in braces (default: Alpaca's, or the prompt as it is)."
    )
    packing: bool = setting(True, "Put several examples into one row of tokens; none sees another (causal-lm).")
    image_size: int | None = setting(None, "Height and width that images are brought to (default: the checkpoint's).")


@dataclass
class AugmentationArguments:
    """Augmentation of training examples."""

    text_augmentation: dict[str, Any] | str | None = setting(
        None, "What texts go through, a name or {aeda: {probability: 0.5}, token_dropout: {rate: 0.1}}:"
    )
    synonyms: Literal["auto", "wordnet", "embeddings", "masked_lm"] = setting(
        "auto", "Where synonyms come from (auto: the first that knows the texts, and the run says which)."
    )
    back_translation: dict[str, Any] | None = setting(
        None, "Checkpoints that translate there and back: {there: NAME, back: NAME, num_paraphrases: 2}."
    )
    image_augmentation: dict[str, Any] | str | None = setting(
        None, "What images go through, a name or {random_crop: {padding: 4}, trivial_augment: {}}:"
    )
    image_mix: dict[str, Any] | str | None = setting(
        None, "How an image and its label are mixed with another's, a name or {cutmix: {alpha: 1.0}}:"
    )


@dataclass
class WeightArguments:
    """Which weights learn."""

    adapter: str | None = setting(None, "Train an adapter on a frozen checkpoint.")
    adapter_kwargs: dict[str, Any] | None = setting(None, "Its own settings, KEY=VALUE,... or JSON.")
    target_modules: list[str] | None = setting(
        None, "Modules that it adapts: regular expressions (default: every linear layer of the blocks)."
    )
    merge_adapter: bool = setting(False, "Save the checkpoint with the adapter merged into it, besides the adapter.")
    quantization: Literal["int8", "nf4", "torchao_int8"] | None = setting(
        None, "Hold the frozen checkpoint in 8 or 4 bits; needs an adapter."
    )
    freeze: list[str] | None = setting(None, "Regular expressions of parameters that stay as they are.")
    linear_probe: bool = setting(False, "Train the head alone.")
    learning_rate_width: int | None = setting(
        None, "Hidden size that learning_rate, written in the same place, is for; others change it in proportion."
    )
    reinitialize_blocks: int = setting(0, "Blocks at the top that start anew, for few examples.")


@dataclass
class RegularizationArguments:
    """Loss and regularisation."""

    loss: str | None = setting(None, "Registered objective in the place of the model's own loss.")
    loss_kwargs: dict[str, Any] | None = setting(None, "Its own settings, KEY=VALUE,... or JSON.")
    class_weights: Literal["balanced", "effective"] | None = setting(
        None, "Weigh rare classes more: by inverse frequency, or by their effective number of examples."
    )
    balanced_sampling: float | str | None = setting(
        None, "Draw rare classes more often: in_turn, all classes alike; or a temperature of 1 (as they are) and more."
    )
    r_drop: float | None = setting(None, "Weight of the divergence between two passes under dropout (1 to 5).")
    fgm_epsilon: float | None = setting(None, "Train also on embeddings moved this far against the loss (0.5 to 1).")
    averaging: Literal["ema", "swa", "last_k"] | None = setting(
        None, "Evaluate and save an average of the weights instead of the last ones."
    )
    averaging_kwargs: dict[str, Any] | None = setting(None, "Its own settings, KEY=VALUE,... or JSON.")
    early_stopping_patience: int | None = setting(
        None, "Stop when so many evaluations in a row are no better than the best; its weights are kept."
    )
    early_stopping_min_gain: float = setting(0.0, "How much better an evaluation must be to count as better.")


PRETRAIN, FINETUNE, SCORE = "pretrain", "finetune", "score"

# What each job may be told, in the order of --help.
JOB_TOPICS: dict[str, tuple[type, ...]] = {
    PRETRAIN: TOPICS,
    FINETUNE: (
        TaskArguments,
        ModelArguments,
        WeightArguments,
        DataArguments,
        AugmentationArguments,
        RegularizationArguments,
        StrategyArguments,
        GuardArguments,
        RunArguments,
    ),
    SCORE: (PromptingArguments, TaskArguments, ModelArguments, DataArguments, RunArguments),
}


# What settings that jobs share say in `--help`, where that is something else than for pretraining.
ROWS = {
    "max_broken_share": "Stop when more than this share of the rows is broken.",
    "validation_file": "The same for validation; without it, a split of the data set, or a share that is held out.",
    "validation_share": "Share of rows held out, by hash, where nothing else is for validation: more data move none.",
}
HELP: dict[str, dict[str, str]] = {
    PRETRAIN: {},
    FINETUNE: {
        **ROWS,
        "architecture": "Train this architecture from scratch (vit on images, resnet3d on clips, lstm, gru or bert on "
        "texts); sizes left out are its own.",
        "tokenizer": "Train this kind of tokenizer on the rows, for an architecture from scratch (default: bpe).",
        "model_name_or_path": "Fine-tune this checkpoint: a Hub name or a folder.",
        "tokenizer_name": "Use this tokenizer, not the checkpoint's own: a Hub name or a folder.",
        "train_file": "Files or globs: json, jsonl, csv, tsv, parquet (also .gz, .zst), or lines of label and text; "
        "images: a folder or zip of a folder for each class, or parquet; clips: npz.",
        "max_train_samples": "Train on this many rows at most, drawn at random.",
        "max_eval_samples": "Evaluate on this many rows at most, drawn at random.",
        "max_seq_length": "Tokens of a text at most (default: 256, or the checkpoint's positions if fewer).",
        "num_completions": "Held-out rows to answer before and after training (seq2seq, causal-lm); 0 for none.",
        "max_new_tokens": "Length of those answers, in tokens.",
        "allow_change": 'Settings that may differ from those of the run that is resumed ("data": its rows).',
    },
    SCORE: {
        **ROWS,
        "task": "What is asked for: a class, for which a word stands.",
        "label_column": "Column of the class.",
        "prompt_template": "Wording of a prompt, with the columns' names in braces; a class's word is put behind it.",
        "model_name_or_path": "Ask this checkpoint: a Hub name or a folder.",
        "tokenizer_name": "Use this tokenizer, not the checkpoint's own: a Hub name or a folder.",
        "train_file": "Files or globs: json, jsonl, csv, tsv, parquet (also .gz, .zst), or lines of label and text.",
        "max_train_samples": "Draw demonstrations from this many rows at most.",
        "max_eval_samples": "Ask about this many rows at most, drawn at random.",
        "max_seq_length": "Tokens of a prompt at most (default: the checkpoint's positions).",
    },
}
SCORED_TASK = "text-classification"  # alone

# Of the topics that fine-tuning shares with pretraining, what it has no use for.
PRETRAINING_ALONE = frozenset({
    "objective", "objective_kwargs", "streaming", "isolate_documents", "validation_records", "reverse_complement",
    "mixture", "drop_duplicates", "contamination_ngram", "preprocessing_num_workers",
    "cooldown_from", "cooldown_steps", "cooldown_shape",
})  # fmt: skip

# Settings of fine-tuning that only some tasks have a use for.
TASKS_WITH = {
    "text_column": ("text-classification", "token-classification", "seq2seq"),
    "label_column": ("text-classification", "token-classification", "seq2seq", "image-classification"),
    "text_pair_column": ("text-classification",),
    "regression": ("text-classification",),
    "tokenizer": ("text-classification", "token-classification"),
    "vocab_size": ("text-classification", "token-classification"),
    "max_target_length": ("seq2seq",),
    "prompt_template": ("causal-lm",),
    "packing": ("causal-lm",),
    "image_column": ("image-classification",),
    "image_size": ("image-classification", "clip-classification"),
}


def takes(job: str, name: str, task: str | None = None) -> bool:
    """Tell whether a job has a use for a setting of its topics, or of the host's.

    Args:
        job: A key of `JOB_TOPICS`.
        name: Of the setting.
        task: What is fine-tuned to; None for whichever.
    """
    if job == SCORE:
        return name in SCORED
    if job == FINETUNE:
        return name not in PRETRAINING_ALONE and (task is None or task in TASKS_WITH.get(name, (task,)))
    return True


def jobs_with(name: str) -> list[str]:
    """List the jobs that have a setting of this name among their own."""
    return [
        job
        for job, topics in JOB_TOPICS.items()
        if takes(job, name) and any(item.name == name for topic in topics for item in fields(topic))
    ]
