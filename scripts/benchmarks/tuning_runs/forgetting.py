"""What a language model of stories forgets when it learns to write like Shakespeare."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import Table
from ..training_runs.goals import Floor
from .data import speeches
from .ingredients import Ingredient, data_at, given, rows_file
from .scope import Report, Scope
from .trial import Trial, TunedRow

NUM_PASSAGES, NUM_HELD_OUT = 500, 100
NUM_STORIES, NUM_REPLAYED = 150, 150
BEFORE, FULL, REPLAY, LORA = "before", "full", "full, with replay", "lora"
FULL_RATE = 1e-3


def plan(scope: Scope) -> list[Trial]:
    model = given(data_at("stories260K"))
    passages = speeches(NUM_PASSAGES + NUM_HELD_OUT)
    every = (NUM_PASSAGES + NUM_HELD_OUT) // NUM_HELD_OUT
    held = rows_file("held-out.jsonl", passages[::every])
    learned = rows_file("passages.jsonl", [row for number, row in enumerate(passages) if number % every])
    own, replayed = stories(model, NUM_STORIES, seed=0), replay(model, NUM_REPLAYED, seed=1)
    contenders: dict[str, dict[str, Any]] = {
        BEFORE: {"do_eval": True},
        FULL: {"learning_rate": FULL_RATE},
        "full, a tenth of the rate": {"learning_rate": FULL_RATE / 10},
        REPLAY: {"learning_rate": FULL_RATE, "train_file": [learned, replayed]},
        LORA: {"adapter": "lora", "learning_rate": FULL_RATE},
        "lora, three times the rate": {"adapter": "lora", "learning_rate": 3 * FULL_RATE},
    }

    def measured(name: str) -> Any:
        def inspect(output: Path) -> dict[str, float]:
            from .checkpoints import text_loss

            tokens = json.loads(own.path().read_text("utf-8"))
            return {"own_loss": text_loss(model.path() if name == BEFORE else output, tokens)}

        return inspect

    return [
        scope.trial(
            part="forgetting",
            task="tinyshakespeare",
            contender=name,
            seed=0,
            chosen="instruct",
            settings={
                "task": "causal-lm",
                "model_name_or_path": model,
                "train_file": [learned],
                "validation_file": [held],
                **settings,
            },
            inspect=measured(name),
            inspects=f"loss on {own.identity}",
            seconds=90,
        )
        for name, settings in contenders.items()
    ]


def stories(model: Ingredient, count: int, *, seed: int) -> Ingredient:
    """Return texts that the model writes by itself, as tokens."""

    def write(path: Path) -> None:
        from .checkpoints import sample_texts

        path.write_text(json.dumps(sample_texts(model.path(), count, seed=seed)), "utf-8")

    return Ingredient("stories.json", f"{model.identity}-stories-{count}-{seed}", write)


def replay(model: Ingredient, count: int, *, seed: int) -> Ingredient:
    """Return other such texts as rows to learn from; the first word is the prompt."""
    written = stories(model, count, seed=seed)

    def write(path: Path) -> None:
        from .checkpoints import tokenizer_at

        tokenizer = tokenizer_at(model.path())
        texts = [tokenizer.decode(tokens[1:]) for tokens in json.loads(written.path().read_text("utf-8"))]
        parts = [text.strip().partition(" ") for text in texts]
        rows = [{"prompt": first, "completion": rest} for first, _, rest in parts if rest.strip()]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")

    return Ingredient("replay.jsonl", f"{written.identity}-replay", write)


def report(rows: Sequence[TunedRow]) -> Report:
    by_name = {row.contender: row.results for row in rows}
    before, full = by_name[BEFORE], by_name[FULL]
    goals = [Floor("tinyshakespeare: loss that full fine-tuning takes off", 0.0, [_fall(before, full, "eval_loss")])]
    goals += [
        Floor(f"loss on its own text: full - {name}", 0.0, [full["own_loss"] - by_name[name]["own_loss"]])
        for name in (REPLAY, LORA)
    ]
    table = [
        {
            "weights": row.contender,
            "loss on Shakespeare": f"{row.results['eval_loss']:.3f}",
            "loss on its own text": f"{row.results['own_loss']:.3f}",
            "forgotten": f"{row.results['own_loss'] - before['own_loss']:+.3f}",
        }
        for row in rows
    ]
    return Report(
        goals,
        [Table(table, f"stories260K on {NUM_PASSAGES} passages of tinyshakespeare, nats per token")],
        [
            f"Its own text is {NUM_STORIES} stories that the model wrote by itself at temperature 1: those that it "
            "was trained on are not at hand. Replay mixes other such stories in.",
        ],
    )


def _fall(before: dict[str, float], after: dict[str, float], name: str) -> float:
    return before[name] - after[name]
