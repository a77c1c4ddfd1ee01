"""What a plan of a size starts from, checked: a budget, a model, or a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hf_strategies.arguments.topics import setting
from hf_strategies.distributed.datasheets import PEAK_TFLOPS, find_device
from hf_strategies.errors import UserError
from hf_strategies.planning.options import split_options
from hf_strategies.planning.quantities import read_count

SECONDS_PER_HOUR = 3600
BY_SPEED = ("bfloat16", "float16", "tf32", "float32")  # what a run on a GPU takes, if it has it
STARTS = ("flops", "gpus", "parameters", "tokens")  # what a plan can start from


@dataclass
class SizeOptions:
    """Options of its own."""

    flops: str | None = setting(None, "Budget of the training, in floating-point operations: 1e21.")
    gpus: int | None = setting(None, "Budget as a number of GPUs, for so many hours; needs gpu and hours.")
    gpu: str | None = setting(None, "Which GPU, by its data sheet: H100, A100, 4090, ...")
    hours: float | None = setting(None, "How long, in hours.")
    utilisation: float = setting(0.4, "Share of the GPUs' peak that training reaches (MFU); 0.3 to 0.5 is usual.")
    parameters: str | None = setting(None, "Start from a model: 1B parameters, embeddings included.")
    tokens: str | None = setting(None, "Start from the tokens it is trained on: 20B; with parameters, judge both.")
    inference_tokens: str | None = setting(None, "Tokens that the model will read and write when it is used: 1T.")
    data_tokens: str | None = setting(None, "Tokens of the text that there is; more than these are repeated.")


@dataclass(frozen=True, kw_only=True)
class SizeRequest:
    """A request that has been checked; None stands for what was not given.

    Args:
        flops: Budget of the training.
        source: Where the budget comes from, in words.
        parameters: Of the model.
        tokens: That it is trained on.
        inference_tokens: That it will be used for.
        data_tokens: That there are.
    """

    flops: float | None
    source: str
    parameters: float | None
    tokens: float | None
    inference_tokens: float | None
    data_tokens: float | None


def parse_size(words: Sequence[str]) -> SizeRequest:
    """Read and check the command line of a plan of a size.

    Raises:
        UserError: One line per mistake, all of them at once.
    """
    problems: list[str] = []
    options, rest = split_options(words, SizeOptions, problems)
    problems += [f"{word}: unknown option of plan.py size; it reads no recipe" for word in rest]
    counts: dict[str, float | None] = {}
    for name in ("flops", "parameters", "tokens", "inference_tokens", "data_tokens"):
        text = getattr(options, name)
        try:
            counts[name] = None if text is None else read_count(f"--{name}", text)
        except UserError as error:
            problems.append(str(error))
    given = [name for name in STARTS if getattr(options, name) is not None]
    if given not in ([name] for name in STARTS) and given != ["parameters", "tokens"]:
        got = " and ".join(f"--{name}" for name in given) or "nothing"
        problems.append(f"expected --flops, --gpus, --parameters or --tokens (or these last two together), got {got}")
    problems += _device_problems(options)
    if problems:
        raise UserError("\n".join(problems))
    source = ""
    if options.gpus is not None:
        counts["flops"], source = _budget(options)
    return SizeRequest(source=source, **counts)


def _device_problems(options: SizeOptions) -> list[str]:
    """List what is wrong with a budget that is given as machines and hours."""
    if options.gpus is None:
        names = ("gpu", "hours")
        return [f"--{name} belongs to --gpus, which is not given" for name in names if getattr(options, name)]
    problems = []
    for name, meaning in (("gpu", "which one, such as H100"), ("hours", "for how long")):
        if getattr(options, name) is None:
            problems.append(f"--gpus needs --{name}: {meaning}")
    for name in ("gpus", "hours"):
        if (value := getattr(options, name)) is not None and not 0 < value < float("inf"):
            problems.append(f"--{name}: expected a number above 0, got {value}")
    if not 0 < options.utilisation <= 1:
        problems.append(f"--utilisation: expected a share of the peak in (0, 1], got {options.utilisation}")
    if options.gpu is not None:
        try:
            find_device(options.gpu)
        except UserError as error:
            problems.append(f"--gpu: {error}")
    return problems


def _budget(options: SizeOptions) -> tuple[float, str]:
    """Return the operations that machines do in a time, and how that was counted."""
    device = find_device(str(options.gpu))
    peaks: dict[str, float] = PEAK_TFLOPS[device]
    precision = next(name for name in BY_SPEED if name in peaks)
    number, hours = int(options.gpus or 0), float(options.hours or 0)
    flops = number * hours * SECONDS_PER_HOUR * peaks[precision] * 1e12 * options.utilisation
    source = (
        f"{number} x {device} ({peaks[precision]:g} TFLOP/s in {precision}) for {hours:g} hours at "
        f"{options.utilisation:.0%} of their peak"
    )
    return flops, source
