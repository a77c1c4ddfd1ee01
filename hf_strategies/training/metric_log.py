"""Trainer whose log has what callbacks measure."""

from hf_strategies.callbacks.metric_source import MetricSource
from hf_strategies.training.host import Host


class MetricLogMixin(Host):
    """Ask callbacks for what they have to add to a log, before any reporter sees it."""

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log `logs` and what callbacks have to add; a training log gets their metrics, the last one their summary."""
        for callback in self.callback_handler.callbacks:
            if isinstance(callback, MetricSource) and ("loss" in logs or "train_runtime" in logs):
                found = callback.metrics() if "loss" in logs else callback.summary()
                logs |= {name: value for name, value in found.items() if name not in logs}
        super().log(logs, start_time)
