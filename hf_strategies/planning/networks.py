"""Contenders that are networks: the models of scripts/finetune.py, and small ones for what it does not train."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hf_strategies.arguments import Arguments
from hf_strategies.models import resolve_sizes
from hf_strategies.models.factory import create_config, create_model
from hf_strategies.planning.contenders import CHECKPOINT, CONTENDERS
from hf_strategies.planning.network_training import Training, logits_of, train
from hf_strategies.planning.plain_learners import thinned
from hf_strategies.planning.problem import Problem, Trained, rows_of
from hf_strategies.runs.process import build_training_arguments, settle_machine
from hf_strategies.runs.tuned_model import build_tuned_model
from hf_strategies.runs.tuned_rows import Job, prepare
from hf_strategies.tasks.task import TaskSettings

FRAME = 12  # pixels of a frame's side that is read as a vector
READERS: dict[str, tuple[str, dict[str, int], float]] = {  # architecture, sizes and rate
    "gru": ("gru", {"hidden_size": 64, "num_hidden_layers": 1}, 3e-3),
    "transformer": ("bert", {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}, 1e-3),
}
ANSWERED_TOGETHER = 64
TOKENS = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}

Batches = Callable[[str, Sequence[int]], dict[str, Tensor]]


def shipped(problem: Problem, name: str, places: Sequence[int], *, seed: int, seconds: float) -> Trained:
    """Train a model that scripts/finetune.py knows, with the rate and the length of its recipe."""
    arguments, job = problem.once(name, lambda: _job(problem, name))
    data = problem.once(f"data of {name}", lambda: _RowsOfJob(job))
    args = build_training_arguments(
        arguments, max_seq_length=arguments.data.max_seq_length or TaskSettings.max_seq_length
    )
    torch.manual_seed(seed)
    model = build_tuned_model(arguments, args, job.task, job.processor, job.sides.train, job.config).model
    training = Training(
        rate=args.learning_rate,
        weight_decay=args.weight_decay,
        batch_size=args.per_device_train_batch_size,
        epochs=args.num_train_epochs,
        device=args.device,
    )
    return _learn(problem, model, data.batch, places, training, seed=seed, seconds=seconds)


def transformer(problem: Problem, name: str, places: Sequence[int], *, seed: int, seconds: float) -> Trained:
    """Train a small transformer: on what its recipe is for, else on one vector for each step or frame."""
    known = problem.request.kind in CONTENDERS[name].facts["words"]
    return (shipped if known else on_vectors)(problem, name, places, seed=seed, seconds=seconds)


def on_vectors(problem: Problem, name: str, places: Sequence[int], *, seed: int, seconds: float) -> Trained:
    """Train a model of texts that reads vectors in the place of tokens: steps of a sequence, or frames of a clip."""
    vectors = problem.once("vectors", lambda: _vectors(problem))
    architecture, given, rate = READERS[name]
    sizes, _ = resolve_sizes(architecture, given)
    _, steps, channels = vectors["train"].shape
    config = create_config(
        architecture, sizes=sizes, options={"dropout": 0.1}, tokens=TOKENS, vocab_size=1, max_seq_length=steps
    )
    config.num_labels = len(problem.names)
    torch.manual_seed(seed)
    model = OnVectors(create_model(config, head="sequence-classification"), channels, config.hidden_size)

    def batch(side: str, asked: Sequence[int]) -> dict[str, Tensor]:
        return {"vectors": vectors[side][list(asked)]}

    training = Training(rate=rate, weight_decay=0.01, batch_size=32, epochs=20, device=_device(problem))
    return _learn(problem, model, batch, places, training, seed=seed, seconds=seconds)


def convolution(problem: Problem, _name: str, places: Sequence[int], *, seed: int, seconds: float) -> Trained:
    """Train three layers of convolutions, halving the image between them, and a mean over what is left."""
    pixels = problem.once("pixels", lambda: _pixels(problem))
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    channels = pixels["train"].shape[1]
    for width in (32, 64, 128):
        layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        layers += [nn.MaxPool2d(2, ceil_mode=True)]
        channels = width
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, len(problem.names)))

    def batch(side: str, asked: Sequence[int]) -> dict[str, Tensor]:
        return {"input": pixels[side][list(asked)].float() / 127.5 - 1.0}

    training = Training(rate=3e-3, weight_decay=0.01, batch_size=64, epochs=20, device=_device(problem))
    return _learn(problem, model, batch, places, training, seed=seed, seconds=seconds)


class OnVectors(nn.Module):
    """A model of texts behind a layer that brings vectors to the width of its embeddings.

    Args:
        model: The model.
        channels: Width of the vectors.
        hidden_size: Of the model.
    """

    def __init__(self, model: nn.Module, channels: int, hidden_size: int) -> None:
        super().__init__()
        self.model = model
        self.reads = nn.Linear(channels, hidden_size)

    def forward(self, vectors: Tensor) -> Tensor:
        """Score rows of vectors `[rows, steps, channels]`."""
        return self.model(inputs_embeds=self.reads(vectors)).logits


@dataclass
class _RowsOfJob:
    """The rows of a fine-tuning job in batches, as its task makes them."""

    job: Job

    def __post_init__(self) -> None:
        task, sides, processor = self.job.task, self.job.sides, self.job.processor
        rows = {"train": sides.train, "validation": sides.validation}
        self.sides = {side: task.dataset(side, some, processor, seed=0) for side, some in rows.items()}
        self.collate = task.collator(processor)

    def batch(self, side: str, asked: Sequence[int]) -> dict[str, Tensor]:
        made = self.collate([self.sides[side][place] for place in asked])
        return {name: value for name, value in made.items() if name != "labels"}


def _job(problem: Problem, name: str) -> tuple[Arguments, Job]:
    words = CONTENDERS[name].facts["words"][problem.request.kind]
    if name != CHECKPOINT:
        assert problem.job is not None
        return settle_machine(problem.request.job(*words)), problem.job
    checkpoint = problem.request.options.model_name_or_path
    arguments = settle_machine(problem.request.job(*words, f"--model_name_or_path={checkpoint}"))
    return arguments, prepare(arguments)


def _learn(
    problem: Problem, model: nn.Module, batch: Batches, places: Sequence[int], training: Training, *, seed: int,
    seconds: float,
) -> Trained:  # fmt: skip
    is_whole = train(
        model, lambda asked: batch("train", asked), problem.train, places, training, seed=seed, seconds=seconds
    )

    @torch.no_grad()
    def answer(side: str, asked: Sequence[int]) -> np.ndarray:
        model.eval()
        found = []
        for start in range(0, len(asked), ANSWERED_TOGETHER):
            inputs = batch(side, asked[start : start + ANSWERED_TOGETHER])
            found.append(logits_of(model, inputs, training.device).argmax(dim=1).cpu().numpy())
        return np.concatenate(found)

    learned = sum(param.numel() for param in model.parameters() if param.requires_grad)
    return Trained(answer, learned, is_whole)


def _vectors(problem: Problem) -> dict[str, Tensor]:
    """Make `[rows, steps, channels]` of both sides, channels standardised by the rows to train on."""

    def vector(row: Any) -> np.ndarray:
        if problem.request.kind == "sequence":
            return row["sequence"]
        frames = thinned(row["clip"], FRAME).swapaxes(0, 1)
        return frames.reshape(len(frames), -1).astype(np.float32)

    made = {side: np.stack([vector(row) for row in rows_of(problem, side)]) for side in ("train", "validation")}
    mean, deviation = made["train"].mean(axis=(0, 1)), made["train"].std(axis=(0, 1))
    deviation[deviation == 0] = 1.0
    return {side: torch.from_numpy(((values - mean) / deviation).astype(np.float32)) for side, values in made.items()}


def _pixels(problem: Problem) -> dict[str, Tensor]:
    return {
        side: torch.from_numpy(np.stack([row["image"] for row in rows_of(problem, side)]))
        for side in ("train", "validation")
    }


def _device(problem: Problem) -> torch.device:
    use_cpu = settle_machine(problem.request.base).training["use_cpu"]
    accelerator = None if use_cpu else torch.accelerator.current_accelerator()
    return accelerator or torch.device("cpu")
