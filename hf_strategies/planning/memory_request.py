"""Whose memory is planned, and for which GPUs, checked before anything is imported that takes seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hf_strategies.adapters import ADAPTERS, check_adapter_settings
from hf_strategies.arguments import Arguments, parse_arguments
from hf_strategies.arguments.layers import recipe_names
from hf_strategies.arguments.topics import setting
from hf_strategies.arguments.tuning_topics import FINETUNE, PRETRAIN
from hf_strategies.errors import UserError
from hf_strategies.planning.options import split_options
from hf_strategies.planning.quantities import read_bytes


@dataclass
class MemoryOptions:
    """Options of its own."""

    gpus: int = setting(1, "GPUs that the run is spread over.")
    gpu_memory: str | None = setting(None, 'Memory of one, "80GB" (default: this machine, as it is).')


@dataclass
class AdapterOptions(MemoryOptions):
    """Options of its own."""

    adapter: str | None = setting(None, "Train an adapter on the model, frozen, as scripts/finetune.py does: lora.")
    adapter_kwargs: dict[str, Any] | None = setting(None, "Its own settings, KEY=VALUE,... or JSON.")
    quantization: Literal["int8", "nf4", "torchao_int8"] | None = setting(
        None, "Hold the frozen model in 8 or 4 bits; needs an adapter."
    )


@dataclass(frozen=True, kw_only=True)
class MemoryRequest:
    """A request that has been checked.

    Args:
        arguments: Of the run.
        gpus: That it is spread over.
        gpu_memory: Bytes of one; None plans for this machine.
        adapter: Its name; None trains the weights themselves.
        adapter_kwargs: Its settings.
        quantization: Of the frozen base; None for none.
    """

    arguments: Arguments
    gpus: int
    gpu_memory: float | None
    adapter: str | None
    adapter_kwargs: dict[str, Any]
    quantization: str | None


def plain_request(arguments: Arguments) -> MemoryRequest:
    """Ask for the memory of a run on this machine, as it is."""
    weights = arguments.weights
    return MemoryRequest(
        arguments=arguments,
        gpus=1,
        gpu_memory=None,
        adapter=weights.adapter,
        adapter_kwargs=weights.adapter_kwargs or {},
        quantization=weights.quantization,
    )


def job_of(words: Sequence[str]) -> tuple[str, str]:
    """Tell which job a command line is for, and that job's default recipe: fine-tuning where it names a task."""
    named = words[0] if words and not words[0].startswith("--") else ""
    tuned = named in recipe_names(FINETUNE) or any(word.partition("=")[0] == "--task" for word in words)
    return (FINETUNE, "finetune") if tuned else (PRETRAIN, "pretrain")


def parse_memory(words: Sequence[str]) -> MemoryRequest:
    """Read and check the command line of a plan of memory.

    Raises:
        UserError: One line per mistake, all of them at once.
    """
    problems: list[str] = []
    job, recipe = job_of(words)
    options, rest = split_options(words, MemoryOptions if job == FINETUNE else AdapterOptions, problems)
    if options.gpus < 1:
        problems.append(f"--gpus: expected at least 1, got {options.gpus}")
    if options.gpus > 1 and options.gpu_memory is None:
        problems.append('--gpus needs --gpu_memory: the memory of one, such as "80GB"')
    memory = arguments = None
    try:
        memory = None if options.gpu_memory is None else read_bytes("--gpu_memory", options.gpu_memory)
        if isinstance(options, AdapterOptions):
            _check_adapter(options)
    except UserError as error:
        problems.append(str(error))
    try:
        arguments = parse_arguments(rest, description="", default_recipe=recipe, job=job, recipe_is_open=True)
    except UserError as error:
        problems += str(error).splitlines()
    if problems or arguments is None:
        raise UserError("\n".join(problems))
    chosen = options if isinstance(options, AdapterOptions) else arguments.weights
    return MemoryRequest(
        arguments=arguments,
        gpus=options.gpus,
        gpu_memory=memory,
        adapter=chosen.adapter,
        adapter_kwargs=chosen.adapter_kwargs or {},
        quantization=chosen.quantization,
    )


def _check_adapter(options: AdapterOptions) -> None:
    """Refuse an adapter that there is not, and a frozen model with nothing that trains on it.

    Raises:
        UserError: The name or a setting is unknown, or there is no name.
    """
    if options.adapter is not None:
        check_adapter_settings(ADAPTERS[options.adapter].name, options.adapter_kwargs or {})
    elif options.quantization is not None or options.adapter_kwargs:
        name = "quantization" if options.quantization is not None else "adapter_kwargs"
        raise UserError(f"--{name} needs --adapter: what is frozen does not train")
