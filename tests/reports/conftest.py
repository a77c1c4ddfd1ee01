import math
import random
from typing import Any

import pytest

NUM_STEPS = 300


def logged_loss(step: int, noise: random.Random) -> float:
    return 2.4 + 5.9 * math.exp(-step / 40) + noise.gauss(0.0, 0.1)


@pytest.fixture
def run_events() -> list[dict[str, Any]]:
    """A run of 300 updates, taken up again at 120: loss 8.3 to 2.4, an evaluation every 50, samples at both ends."""
    noise = random.Random(0)
    events = [
        {"event": "run", "step": 0},
        {"event": "samples", "step": 0, "samples": [{"prompt": "def f(", "completion": "@@ qq"}]},
    ]
    for step in range(1, NUM_STEPS + 1):
        rate = 4e-3 * min(step / 15, (NUM_STEPS - step) / (NUM_STEPS - 15))
        measured = {"loss": logged_loss(step, noise), "grad_norm": 0.5 + noise.random() / 5, "learning_rate": rate}
        events.append({"event": "log", "step": step, **measured, "tokens_per_second": noise.gauss(13_600, 200)})
        if step % 50 == 0:
            loss = logged_loss(step, noise)
            events.append({"event": "eval", "step": step, "eval_loss": loss, "eval_bits_per_byte": 0.48 * loss})
        if step == 120:
            events.append({"event": "run", "step": 120})
    said = [{"prompt": "def f(", "completion": "x):\n    return x", "reference": "self):"}]
    return [*events, {"event": "samples", "step": NUM_STEPS, "samples": said}, {"event": "end", "step": NUM_STEPS}]
