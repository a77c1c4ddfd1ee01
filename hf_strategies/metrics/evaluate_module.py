"""Every metric of the shelf as a module of the library evaluate, which loads it from this file without a network.

    accuracy = evaluate.load(EVALUATE_MODULE, "accuracy")
    accuracy.compute(predictions=[0, 1], references=[0, 0])

evaluate reads the imports line by line and takes the first metric class that it finds: one import per line here, of
modules alone, and one class.
"""

import datasets
import evaluate

from hf_strategies.metrics import inputs
from hf_strategies.metrics.shelf import METRICS

NUMBER = datasets.Value("float64")  # also for classes: whole numbers would be cut from scores without a word
TEXT = datasets.Value("string")
FEATURES = {
    "class_labels": [(NUMBER, NUMBER)],
    "class_scores": [(datasets.List(NUMBER), NUMBER)],
    "indicators": [(datasets.List(NUMBER), datasets.List(NUMBER))],
    "numbers": [(NUMBER, NUMBER)],
    "tag_rows": [(datasets.List(TEXT), datasets.List(TEXT))],
    "texts": [(TEXT, TEXT), (TEXT, datasets.List(TEXT))],
    "token_values": [(datasets.List(NUMBER), datasets.List(NUMBER))],
}


class ShelfMetric(evaluate.Metric):
    """The metric whose name is given as the configuration; `compute` takes its settings by keyword."""

    def _info(self) -> evaluate.MetricInfo:
        entry = METRICS[self.config_name]
        features = [
            datasets.Features({"predictions": predictions, "references": references})
            for predictions, references in FEATURES[entry.facts["inputs"]]
        ]
        return evaluate.MetricInfo(
            description=entry.summary,
            citation=entry.paper,
            inputs_description=getattr(inputs, entry.facts["inputs"]).__doc__,
            features=features if len(features) > 1 else features[0],
        )

    def _compute(self, predictions, references, **settings) -> dict[str, float]:
        return {self.config_name: METRICS[self.config_name].build(predictions, references, **settings)}
