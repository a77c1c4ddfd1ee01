"""The rows that runs learn from, out of real texts."""

import csv
import json
import random
from functools import cache
from typing import Any

from .ingredients import data_at

NUM_TEST = 1_000  # rows of rt-polarity that nobody learns from
PASSAGE = 600  # characters, at least

Rows = list[dict[str, str]]


def few_examples(task: str, count: int, *, seed: int) -> Rows:
    """Draw the rows that a seed learns from: the same for every contender."""
    return random.Random(seed).sample(sides(task)[0], count)


@cache
def sides(task: str) -> tuple[Rows, Rows]:
    """Return the rows of `text` and `label` to draw from, and those that every run is tested on."""
    if task == "TREC":
        return _label_lines("TREC.train.all"), _label_lines("TREC.test.all")
    rows = _label_lines("rt-polarity.all")
    random.Random(0).shuffle(rows)
    return rows[NUM_TEST:], rows[:NUM_TEST]


def _label_lines(name: str) -> Rows:
    """Read lines of a label and, behind a space, a text; a line may hold the byte 0x85, which ends no line here."""
    text = data_at(f"text_classification/{name}").read_bytes().decode("latin-1")
    pairs = (line.strip().partition(" ") for line in text.split("\n") if line.strip())
    return [{"text": text, "label": label} for label, _, text in pairs]


def unlabelled_texts() -> Rows:
    """Return news, web pages, instructions, and what may be learned from of the texts that are classified, as `text`.

    No label is among them, and no text that anything is tested on.
    """
    with data_at("ag_news/ag_news_7600.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    texts = [". ".join(row[1:]) for row in rows if row[0].isdigit()]
    lines = data_at("pretrain_jsonl/c4_demo.jsonl").read_text("utf-8").splitlines()
    texts += [json.loads(line)["text"] for line in lines]
    texts += [" ".join(filter(None, row.values())) for row in instructions()]
    own = [row for task in ("TREC", "rt-polarity") for row in task_texts(task)]
    return [*({"text": text} for text in texts), *own]


def task_texts(task: str) -> Rows:
    """Return what may be learned from of the texts that a task classifies, as `text`: none that is tested."""
    learned, tested = (dict.fromkeys(row["text"] for row in rows) for rows in sides(task))
    return [{"text": text} for text in learned if text not in tested]


def instructions() -> list[dict[str, Any]]:
    return json.loads(data_at("instruct/alpaca_en_demo.json").read_text("utf-8"))


def speeches(count: int) -> Rows:
    """Cut Shakespeare into passages of whole speeches, `prompt` the first speaker and `completion` what is said.

    Args:
        count: Passages, evenly spaced over all plays.
    """
    passages: Rows = []
    speaker, said = "", ""
    for speech in data_at("tinyshakespeare/input.txt").read_text("utf-8").split("\n\n"):
        first, _, rest = speech.strip().partition("\n")
        speaker, said = (speaker, f"{said}\n\n{speech.strip()}") if speaker else (first, rest)
        if len(said) >= PASSAGE:
            passages.append({"prompt": f"{speaker}\n", "completion": said})
            speaker = ""
    return passages[:: len(passages) // count][:count]
