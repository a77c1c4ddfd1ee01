"""Advice: every contender on growing shares of the data, within a time, and what that says."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import transformers

from hf_strategies.errors import UserError
from hf_strategies.planning.advice_request import AdviceRequest
from hf_strategies.planning.advice_verdict import Advice, Fit, advise
from hf_strategies.planning.contenders import CONTENDERS
from hf_strategies.planning.problem import Problem, Trained, read_problem
from hf_strategies.runs.output_folder import create_folder, create_next
from hf_strategies.runs.process import prepare_cpu, settle_machine

SHARES = (1 / 8, 1 / 4, 1 / 2, 1.0)
FEWEST_EXAMPLES = 8  # of a share, for each class
SEEN_AGAIN = 500  # training rows at most that accuracy is taken on
LEAST_SECONDS = 1.0  # of a network


@dataclass(frozen=True)
class Turn:
    """A contender's turn: how many examples, and which seed."""

    name: str
    size: int
    seed: int

    @property
    def cost(self) -> float:
        """Its part of the budget, beside that of the other turns."""
        return float(CONTENDERS[self.name].facts["cost"]) * self.size


def settle_problem(request: AdviceRequest) -> Problem:
    """Settle the machine, and read the rows.

    Raises:
        UserError: They cannot be read, or are not of two or more classes.
    """
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    if settle_machine(request.base).training["use_cpu"]:
        prepare_cpu()
    return read_problem(request)


def give_advice(problem: Problem, tell: Callable[[str], None]) -> Advice:
    """Train what there is time for, and judge it.

    Args:
        problem: What is to be learned.
        tell: Takes a line for the user.
    """
    request, sides = problem.request, problem.sides
    tell(
        f"data      {request.kind}: {len(sides.train):,} examples of {len(problem.names)} classes, "
        f"{len(sides.validation):,} to judge by ({sides.held_out})"
    )
    turns, fits = plan_turns(request, len(sides.train), len(problem.names)), []
    builders = {name: CONTENDERS[name].build for name in request.contenders}  # imported before the clock starts
    end = time.perf_counter() + request.seconds
    for place, turn in enumerate(turns):
        left, cost = end - time.perf_counter(), sum(later.cost for later in turns[place:])
        if turn.cost and turn.seed and left < LEAST_SECONDS:
            continue  # every contender has had its turns with the first seed
        seconds = max(LEAST_SECONDS, left * turn.cost / cost) if turn.cost else request.seconds
        fit = try_once(builders[turn.name], problem, turn, seconds)
        fits.append(fit)
        tell(f"{place + 1:>4}/{len(turns):<4} {turn.name}, {turn.size:,} examples, seed {turn.seed}: "
             f"{1 - fit.error:.3f} in {fit.seconds:.1f} s")  # fmt: skip
    return advise(fits)


def open_advice_folder(request: AdviceRequest) -> Path:
    """Choose and create the folder that advice is written to.

    Raises:
        UserError: It holds something already, or cannot be written.
    """
    if request.options.output_dir is None:
        return create_next("advice")
    folder = Path(request.options.output_dir).expanduser()
    create_folder(folder)
    if any(folder.iterdir()):
        raise UserError(f"output_dir {folder} is not empty; choose another folder")
    return folder


def plan_turns(request: AdviceRequest, num_examples: int, num_classes: int) -> list[Turn]:
    """List all turns: seed by seed, so that what there is of a cut one compares all contenders."""
    sizes = growing_sizes(num_examples, num_classes)
    return [
        Turn(name, size, seed)
        for seed in range(request.options.num_seeds)
        for size in reversed(sizes)  # the largest share first: it must not suffer from what came before
        for name in request.contenders
    ]


def growing_sizes(num_examples: int, num_classes: int) -> list[int]:
    """Return the sizes to train on, all the data last; shares too small to know the classes by are left out."""
    sizes = [round(share * num_examples) for share in SHARES]
    return [size for size in sizes[:-1] if size >= FEWEST_EXAMPLES * num_classes] + [num_examples]


def try_once(build: Callable[..., Trained], problem: Problem, turn: Turn, seconds: float) -> Fit:
    """Train a contender and let it answer."""
    places = choose_places(len(problem.train), turn.size, turn.seed)
    begin = time.perf_counter()
    trained = build(problem, turn.name, places, seed=turn.seed, seconds=seconds)
    done = time.perf_counter()
    right = trained.answer("validation", range(len(problem.validation))) == problem.validation
    answered = time.perf_counter()
    seen = places[:SEEN_AGAIN]
    again = trained.answer("train", seen) == problem.train[seen]
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return Fit(
        name=turn.name,
        size=turn.size,
        seed=turn.seed,
        right=right,
        train_accuracy=float(again.mean()),
        seconds=done - begin,
        row_seconds=(answered - done) / len(right),
        parameters=trained.parameters,
        is_whole=trained.is_whole,
    )


def choose_places(num_examples: int, size: int, seed: int) -> Sequence[int]:
    """Choose which examples to train on: a larger share holds the smaller ones of its seed."""
    return np.random.default_rng(seed).permutation(num_examples)[:size].tolist()
