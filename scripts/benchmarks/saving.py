"""What a checkpoint costs that is whole or not there: time in manifest, SHA-256 and fsync, over the time of a save."""

import statistics
import tempfile
from pathlib import Path

from . import require_at_least, require_multiple


def run(
    *,
    num_saves: int = 10,
    num_pairs: int = 3,
    hidden_size: int = 256,
    num_hidden_layers: int = 5,
) -> list[dict[str, float | str]]:
    """Save with a plain Trainer and with ours in turn, and compare.

    Args:
        num_saves: Checkpoints of each run.
        num_pairs: Runs of each kind; medians are reported.
        hidden_size: Width of the Llama, a multiple of 16; with the defaults it has 5 M parameters.
        num_hidden_layers: Depth of the Llama.

    Returns:
        One row for each trainer: `save_ms`, and how much of it, `proof_ms`, makes the files durable and proves them.
    """
    require_at_least(1, num_saves=num_saves, num_pairs=num_pairs, num_hidden_layers=num_hidden_layers)
    require_multiple(16, hidden_size=hidden_size)

    from .timing.save_cost import SaveTimes, save

    found: dict[bool, list[SaveTimes]] = {False: [], True: []}
    for _ in range(num_pairs):
        for ours, times in found.items():
            with tempfile.TemporaryDirectory() as folder:
                times += save(ours, Path(folder), num_saves, hidden_size, num_hidden_layers)
    return [
        {
            "trainer": "StrategyTrainer" if ours else "Trainer",
            "checkpoint_mb": times[0].num_bytes / 1e6,
            "save_ms": (whole := 1e3 * statistics.median(time.whole for time in times)),
            "proof_ms": (proof := 1e3 * statistics.median(time.proof for time in times)),
            "proof_percent": 100.0 * proof / whole,
        }
        for ours, times in found.items()
    ]
