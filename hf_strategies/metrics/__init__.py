"""predictions -> score."""

from pathlib import Path

from hf_strategies.metrics.scoring import compute_metrics
from hf_strategies.metrics.shelf import METRICS

EVALUATE_MODULE = str(Path(__file__).with_name("evaluate_module.py"))  # for evaluate.load(EVALUATE_MODULE, "accuracy")

__all__ = ["EVALUATE_MODULE", "METRICS", "compute_metrics"]
