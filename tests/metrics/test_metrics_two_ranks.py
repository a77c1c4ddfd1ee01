"""Two real processes over gloo: the metrics that Trainer comes to are those of the whole set, with rows of different
lengths that neither ranks nor batches divide."""

import json

import numpy as np
import pytest
from sklearn import metrics

NUM_CLASSES = 3
NUM_RANKS = 2

EVALUATE = """
import json, sys, torch
from transformers import Trainer, TrainingArguments
from hf_strategies.distributed.process_group import leave_process_group
from hf_strategies.metrics import compute_metrics

rows = json.loads(sys.argv[2])

class Tagger(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.scores = torch.nn.Embedding(4, 3)
        self.scores.weight.data = torch.tensor(json.loads(sys.argv[3]))
    def forward(self, input_ids, labels):
        return {"loss": self.scores.weight.sum(), "logits": self.scores(input_ids)}

def collate(batch):
    pad = lambda name, value: torch.nn.utils.rnn.pad_sequence(
        [torch.tensor(row[name]) for row in batch], batch_first=True, padding_value=value)
    return {"input_ids": pad("input_ids", 0), "labels": pad("labels", -100)}

def score(prediction):
    names = ["accuracy", "f1_macro", "top_k_accuracy"]
    return compute_metrics(names, prediction.predictions, prediction.label_ids, k=2)

args = TrainingArguments(sys.argv[1], per_device_eval_batch_size=2, use_cpu=True, report_to="none", disable_tqdm=True)
trainer = Trainer(Tagger(), args, data_collator=collate, compute_metrics=score)
found = trainer.evaluate(rows)
with open(f"{sys.argv[1]}/{args.process_index}.json", "w") as file:
    json.dump(found, file)
leave_process_group()
"""


def test_ranks_and_batches_change_no_metric(tmp_path, launch_ranks):
    draw = np.random.default_rng(0)
    weights = draw.normal(size=(4, NUM_CLASSES))
    rows = [
        {"input_ids": draw.integers(0, 4, length).tolist(), "labels": draw.integers(0, NUM_CLASSES, length).tolist()}
        for length in (5, 1, 3, 7, 2, 4, 6)
    ]
    launch_ranks(EVALUATE, str(tmp_path), json.dumps(rows), json.dumps(weights.tolist()), num_ranks=NUM_RANKS)

    scores = weights[np.concatenate([row["input_ids"] for row in rows])]
    true = np.concatenate([row["labels"] for row in rows])
    expected = {
        "eval_accuracy": metrics.accuracy_score(true, scores.argmax(1)),
        "eval_f1_macro": metrics.f1_score(true, scores.argmax(1), average="macro"),
        "eval_top_k_accuracy": metrics.top_k_accuracy_score(true, scores, k=2),
    }
    for rank in range(NUM_RANKS):
        found = json.loads((tmp_path / f"{rank}.json").read_text())
        assert {name: found[name] for name in expected} == pytest.approx(expected)
