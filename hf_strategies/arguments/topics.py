"""Our own settings, one dataclass per topic; everything that `TrainingArguments` owns keeps its name there.

Annotations stay text, which is what `settings_of` reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


def setting(default: Any, help: str) -> Any:  # noqa: A002 - dataclasses and argparse call it help too
    """A dataclass field with the sentence that `--help` prints."""
    if isinstance(default, list | dict):
        return field(default_factory=default.copy, metadata={"help": help})
    return field(default=default, metadata={"help": help})


@dataclass
class ModelArguments:
    """Model and tokenizer."""

    architecture: str | None = setting(None, "Train this architecture from scratch; sizes left out are its own.")
    size: str | None = setting(
        None, "Sizes of a published model, by its name (125m, base); those given one by one take their places."
    )
    parameters: str | None = setting(
        None, 'Choose width and depth for so many ("30M"), embeddings included, in the usual proportions.'
    )
    scale_to: str | None = setting(
        None,
        'Shrink the recipe to about so many parameters ("5M"): model, batch, length and rate; it says by which rules.',
    )
    architecture_kwargs: dict[str, Any] | None = setting(
        None, "What it has besides sizes, KEY=VALUE,... (`python -m hf_strategies show NAME` lists it)."
    )
    hidden_size: int | None = setting(None, "Width of the residual stream.")
    num_hidden_layers: int | None = setting(None, "Number of blocks.")
    num_attention_heads: int | None = setting(None, "Query heads; must divide hidden_size.")
    num_key_value_heads: int | None = setting(None, "Key and value heads; must divide num_attention_heads.")
    intermediate_size: int | None = setting(None, "Width inside the feed-forward layer.")
    patch_size: int | None = setting(None, "Side of an image's patches, in pixels (vit).")
    config_overrides: dict[str, Any] | None = setting(None, "Other fields of the model's config, KEY=VALUE,...")
    model_name_or_path: str | None = setting(None, "Continue this checkpoint instead: a Hub name or a folder.")
    model_revision: str | None = setting(None, "Branch, tag or commit of the Hub checkpoint (default: main).")
    trust_remote_code: bool = setting(False, "Run code that comes with a Hub checkpoint.")
    attn_implementation: str | None = setting(
        None, "sdpa (default where the model has it), eager, flash_attention_2, or a kernel from the Hub."
    )
    tokenizer: Literal["bpe", "bytes", "chars", "bases"] | None = setting(
        None, "Train this kind of tokenizer on the training text: byte-level BPE, bytes, characters, or bases of DNA."
    )
    vocab_size: int | None = setting(
        None, "Size of the BPE tokenizer trained here; of the embedding, where bytes or chars need fewer."
    )
    tokenizer_name: str | None = setting(None, "Use this tokenizer: a Hub name or a folder.")


@dataclass
class DataArguments:
    """Data."""

    train_file: list[str] | None = setting(
        None,
        "Files, globs or folders: txt, json, jsonl, csv, tsv, parquet, fasta (also .gz, .zst), or source files, one "
        "document each.",
    )
    validation_file: list[str] | None = setting(None, "The same for validation; without it, a share is held out.")
    validation_records: list[str] | None = setting(
        None, "Records of FASTA files that are held out whole (chr14,chrX), not a share of regions as long as a block."
    )
    reverse_complement: bool = setting(False, "Read blocks of DNA from either strand, drawn anew in each epoch.")
    dataset_name: str | None = setting(None, "A data set's Hub name, or its local folder.")
    dataset_config_name: str | None = setting(None, "Configuration of that data set.")
    text_column: str = setting("text", "Column (or JSON key) that holds the text.")
    mixture: dict[str, Any] | None = setting(
        None,
        "Several sources, {NAME: {train_file or dataset_name: ..., weight: its share of the tokens}}; a weight that "
        "changes is {0: 0.1, 0.8: 0.5}, by share of the run; needs max_steps.",
    )
    streaming: bool = setting(False, "Read while training, for data that does not fit; needs max_steps.")
    validation_share: float = setting(
        0.05, "Share of documents held out where nothing else is for validation, by hash: adding data moves none."
    )
    drop_duplicates: Literal["exact", "near"] | None = setting(
        None, "Leave out training documents that are copies of earlier ones, or (near) share 80% of runs of 5 words."
    )
    contamination_ngram: int | None = setting(
        None, "Report how many runs of so many validation tokens (13) stand in the training text, by source."
    )
    max_train_samples: int | None = setting(None, "Train on this many blocks at most.")
    max_eval_samples: int | None = setting(None, "Evaluate on this many blocks at most.")
    max_seq_length: int | None = setting(
        None, "Tokens per block (default: 512, or the checkpoint's positions if fewer)."
    )
    isolate_documents: bool = setting(False, "No attention across the documents of a block; positions restart.")
    preprocessing_num_workers: int | None = setting(None, "Processes that tokenize (default: all cores).")
    max_broken_share: float = setting(0.01, "Stop when more than this share of records or samples is broken.")


@dataclass
class StrategyArguments:
    """Strategies."""

    objective: Literal["causal", "masked", "span"] = setting(
        "causal", "What a model learns to predict: the next token, hidden tokens (bert), or hidden spans (t5)."
    )
    objective_kwargs: dict[str, Any] | None = setting(
        None, "Its own settings, KEY=VALUE,...: rate and whole_words of masked, rate and mean_span_length of span."
    )
    optimizer: str | None = setting(None, "Registered optimizer (or --optim for one of the host's).")
    optimizer_kwargs: dict[str, Any] | None = setting(None, "Its own settings, KEY=VALUE,... or JSON.")
    param_groups: dict[str, Any] | None = setting(
        None,
        "Rates and decay by weight: layerwise_lr_decay, decay_embeddings, lora_plus_ratio, rules; as YAML or JSON.",
    )
    scheduler: str | None = setting(None, "Registered scheduler (or --lr_scheduler_type for one of the host's).")
    scheduler_kwargs: dict[str, Any] | None = setting(None, "Its own settings, KEY=VALUE,... or JSON.")
    hyperparameter_curves: dict[str, Any] | None = setting(
        None,
        "Curves for weight_decay, momentum, beta1 or beta2: {weight_decay: {scheduler: cosine, at_zero: 0.01}}; "
        "a curve goes from at_zero (default 0) to at_one (default: the setting's own value).",
    )
    cooldown_from: str | None = setting(
        None, "Branch off a run at this checkpoint of it: its settings, and a rate that falls to 0."
    )
    cooldown_steps: int | float | str | None = setting(
        None, 'Length of that fall: updates, a share of the branch\'s whole length in (0, 1), or "2M tokens".'
    )
    cooldown_shape: Literal["linear", "cosine", "one_minus_sqrt"] = setting("linear", "Shape of that fall.")
    clip_grad_value: float | None = setting(
        None, "Clip each element of a gradient to this size, in the place of max_grad_norm."
    )
    adaptive_clipping: float | None = setting(
        None, "Clip each unit's gradient to this share of its weights' norm (0.01), in the place of max_grad_norm."
    )
    z_loss: float | None = setting(
        None, "Add this times the mean squared log of the softmax's normaliser (1e-4), to keep logits from drifting."
    )
    sam_rho: float | None = setting(
        None, "Sharpness-aware minimisation: take gradients this far uphill (0.05); an update costs twice as much."
    )
    global_batch_size: str | None = setting(
        None, 'Sequences ("256") or tokens ("0.5M tokens") per update over all devices; accumulation follows.'
    )


@dataclass
class RunArguments:
    """Run."""

    num_completions: int = setting(3, "Held-out prompts to complete before and after training; 0 for none.")
    allow_change: list[str] | None = setting(
        None, 'Settings that may differ from those of the run that is resumed ("data": its text).'
    )
    max_new_tokens: int = setting(48, "Length of those completions, in tokens.")
    log_layer_norms: bool = setting(
        False, "Log the norms of each layer's parameters, gradients and updates, in the updates that are logged."
    )
    max_hours: float | None = setting(
        None, "Save and stop before the job has taken this long; the same command goes on from there."
    )
    save_minutes: float | None = setting(
        None, "Save also when this many minutes have passed since the last checkpoint."
    )
    save_at_steps: list[str] | None = setting(None, "Save also after these updates.")
    hang_timeout: float | None = setting(
        300.0, "Dump all threads' stacks when nothing has happened for this many seconds; none never does."
    )


@dataclass
class GuardArguments:
    """Step guard."""

    guard: bool = setting(True, "Keep updates whose loss or gradient is not finite, or a spike, from the weights.")
    guard_patience: int = setting(4, "Such updates in a row before the run goes back to a healthy state.")
    guard_rollbacks: int = setting(3, "Returns that may fail to help before the run stops (exit code 17).")
    guard_snapshot_steps: int = setting(
        10, "Updates between snapshots in memory, where two fit in 1 GiB; 0 leaves checkpoints alone to go back to."
    )
    guard_lr_scale: float = setting(1.0, "Factor of the learning rate for 100 updates after a return.")


TOPICS = (ModelArguments, DataArguments, StrategyArguments, GuardArguments, RunArguments)


def trains(training: Mapping[str, Any]) -> bool:
    """Tell from the host's settings whether a run trains: `--do_eval` alone only evaluates."""
    return bool(training.get("do_train") or not training.get("do_eval"))
