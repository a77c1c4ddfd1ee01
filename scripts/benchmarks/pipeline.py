"""Pipeline stages on CPU processes of one thread each: the bubble that is measured, beside the ideal one.

A Llama in p stages takes the m micro-batches of an update in turn, and stages wait for the first and the last of them:
a share (p-1)/(m+p-1) of the time, whatever is done. The ideal step is one process's step with one thread, divided by
p, and longer by (m+p-1)/m. What is above it is communication, the engine, and stages that are not equally long.
"""

from typing import Any

from hf_strategies.distributed.ranks import available_cores
from hf_strategies.errors import UserError

from . import Findings, Table, require_at_least, require_multiple

GOAL_PERCENT = 20.0
STAGE_MS = 200.0  # shorter stages would show what a message costs, and not the pipeline


def run(
    *,
    stages: int = 2,
    micro_batches: tuple[int, ...] = (1, 2, 4, 8),
    num_steps: int = 3,
    rounds: int = 3,
    hidden_size: int = 512,
    num_hidden_layers: int = 8,
    rows: int = 2,
    sequence_length: int = 256,
) -> Findings:
    """Time updates of one process and of a pipeline, and compare.

    Args:
        stages: Number of stages, each on a core of its own.
        micro_batches: Of an update: one line for each number.
        num_steps: Timed updates of each kind, after one that is not timed, of which the median is taken.
        rounds: Of one process and then the pipeline; the one whose ratio is the median is reported.
        hidden_size: Width of the Llama, a multiple of 16.
        num_hidden_layers: Depth of the Llama, a multiple of the stages.
        rows: Of a micro-batch.
        sequence_length: Tokens per row.

    Raises:
        UserError: There are fewer cores than stages, or an option leaves nothing to measure.
    """
    require_at_least(2, stages=stages)
    require_at_least(
        1,
        num_steps=num_steps,
        rounds=rounds,
        rows=rows,
        sequence_length=sequence_length,
        micro_batches=min(micro_batches),
    )
    require_multiple(16, hidden_size=hidden_size)
    require_multiple(stages, num_hidden_layers=num_hidden_layers)
    if available_cores() < stages:
        raise UserError(f"{stages} stages need {stages} cores of their own, got {available_cores()}")

    from .timing.pipeline_steps import step_seconds

    sizes = {
        "hidden_size": hidden_size,
        "num_hidden_layers": num_hidden_layers,
        "rows": rows,
        "sequence_length": sequence_length,
    }
    measured = [
        [step_seconds(processes, micro_batches, num_steps, sizes) for processes in (1, stages)] for _ in range(rounds)
    ]
    found = []
    for count in micro_batches:
        pairs = [(alone[count], staged[count]) for alone, staged in measured]
        median = sorted(pairs, key=lambda pair: pair[1] / pair[0])[rounds // 2]
        found.append(compare(stages, count, *median))
    shortest = min(1e3 * alone[count] / count / stages for alone, _ in measured for count in micro_batches)
    remarks = [f"A stage takes {shortest:.0f} ms of a micro-batch, forward and backward."]
    if shortest < STAGE_MS:
        remarks.append(f"That is below {STAGE_MS:g} ms: take a larger model for a verdict on the pipeline.")
    return Findings([Table(found, f"goal: at most {GOAL_PERCENT:g}% above the ideal step")], remarks=remarks)


def compare(stages: int, micro_batches: int, alone: float, staged: float) -> dict[str, Any]:
    """Put a pipeline's step beside the ideal one.

    Args:
        stages: Number of stages.
        micro_batches: Of an update.
        alone: Seconds of the update in one process.
        staged: Seconds of it in the pipeline.
    """
    ideal = alone / stages * (micro_batches + stages - 1) / micro_batches
    above = 100.0 * (staged / ideal - 1.0)
    return {
        "stages": stages,
        "micro_batches": micro_batches,
        "one_process_ms": round(1e3 * alone),
        "ideal_ms": round(1e3 * ideal),
        "measured_ms": round(1e3 * staged),
        "ideal_bubble": f"{(stages - 1) / (micro_batches + stages - 1):.1%}",
        "measured_bubble": f"{1.0 - alone / stages / staged:.1%}",
        "above_ideal": f"{above:.1f}%",
        "verdict": "met" if above <= GOAL_PERCENT else f"missed by {above - GOAL_PERCENT:.1f}%",
    }
