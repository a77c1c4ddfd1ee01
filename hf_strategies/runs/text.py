"""The text of a run: from settings to blocks, and what is said about it."""

from pathlib import Path
from typing import Any

from hf_strategies.arguments import Arguments
from hf_strategies.arguments.texts import text_sources
from hf_strategies.arguments.topics import ModelArguments
from hf_strategies.data import PreparedText, StreamingBlocks, TokenizerRequest, prepare_text
from hf_strategies.data.maskings import MASKINGS, MaskingRequest
from hf_strategies.data.mixed_blocks import MixedBlocks
from hf_strategies.data.mixture import prepare_mixture
from hf_strategies.data.mixture_request import parse_mixture
from hf_strategies.distributed.ranks import is_main_process
from hf_strategies.runs.language_model import load_tokenizer


def prepare(arguments: Arguments, block_size: int, *, seed: int, samples: int) -> PreparedText:
    """Read, tokenize and pack the text that was named; one process does it for all.

    Args:
        arguments: Of the run.
        block_size: Tokens that the model reads in one example.
        seed: Of what the objective draws, and of strands and mixtures.
        samples: That the run trains on, where its length is given in updates.
    """
    data, model, strategy = arguments.data, arguments.model, arguments.strategy
    masking = None
    if strategy.objective in MASKINGS:
        masking = MaskingRequest(objective=strategy.objective, settings=strategy.objective_kwargs or {}, seed=seed)
    tokenizer = load_tokenizer(model) or request_tokenizer(model, strategy.objective)
    if data.mixture:
        return prepare_mixture(
            parse_mixture(data.mixture, data.text_column),
            tokenizer=tokenizer,
            num_samples=samples,
            seed=seed,
            block_size=block_size,
            validation_share=data.validation_share,
            max_broken_share=data.max_broken_share,
            drop_duplicates=data.drop_duplicates,
            contamination_ngram=data.contamination_ngram,
            max_eval_blocks=data.max_eval_samples,
            isolate_documents=data.isolate_documents,
            num_workers=data.preprocessing_num_workers,
            show_progress=is_main_process(),
        )
    train, validation = text_sources(arguments)
    return prepare_text(
        train,
        validation,
        tokenizer=tokenizer,
        block_size=block_size,
        masking=masking,
        validation_share=data.validation_share,
        max_broken_share=data.max_broken_share,
        max_train_blocks=data.max_train_samples,
        max_eval_blocks=data.max_eval_samples,
        isolate_documents=data.isolate_documents,
        drop_duplicates=data.drop_duplicates,
        contamination_ngram=data.contamination_ngram,
        strand_seed=seed if data.reverse_complement else None,
        streaming=data.streaming,
        num_workers=data.preprocessing_num_workers,
        show_progress=is_main_process(),
    )


def request_tokenizer(model: ModelArguments, objective: str) -> TokenizerRequest:
    """Ask for the tokenizer that is to be trained; only BPE has a size to choose."""
    kind = model.tokenizer or "bpe"
    vocab_size = model.vocab_size if kind == "bpe" else None
    return TokenizerRequest(kind=kind, vocab_size=vocab_size, objective=objective)


def broken_records(text: PreparedText) -> list[str]:
    """Say which records were skipped, while preparing and, of a stream, while training."""
    streamed = text.train.broken.summary() if isinstance(text.train, StreamingBlocks) else ""
    return [said for said in (text.report.broken, streamed) if said]


def data_facts(text: PreparedText) -> dict[str, Any]:
    """Count both sides of the data, for the report."""
    facts: dict[str, Any] = {
        f"{side} {what}": count
        for side, counts in text.report.sides.items()
        for what, count in counts._asdict().items()
    }
    if isinstance(text.train, MixedBlocks):
        facts |= {f"{name} epochs": round(epochs, 2) for name, epochs in text.train.epochs().items()}
    return {**facts, "bytes per token": round(text.report.bytes_per_token, 3)}


def source_name(arguments: Arguments) -> str:
    """Say in a few words what the run read."""
    if arguments.data.mixture:
        return f"a mixture of {', '.join(arguments.data.mixture)}"
    if arguments.data.dataset_name:
        return arguments.data.dataset_name
    if arguments.data.train_file:
        return ", ".join(Path(name).name for name in arguments.data.train_file)
    return "the Python standard library's source"
