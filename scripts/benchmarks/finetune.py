"""What fine-tuning's recipes, adapters, augmentations and packing are worth, on small models and real data.

Every run is a process of scripts/finetune.py (scripts/pretrain.py makes the encoder that some start from), as a user
would start it; what a run leaves is scored on rows that it has not seen with transformers alone. Contenders of a part
learn from the same examples with the same seeds. A run that is on disk is not made again.

- small_data: a small encoder pretrained here, then 500 labelled texts: the recipe that the script chooses against
  run_glue.py's defaults (3 epochs at 5e-5, linear, no warmup), against random weights, and with AEDA and EDA.
- adapters: all weights, LoRA, DoRA, LoRA on 4 bits; and LoRA's default rate beside a sweep of its own.
- forgetting: a model of stories learns Shakespeare; what becomes of its loss on its own text.
- images: a vision transformer from scratch with and without TrivialAugment, mixup and cutmix.
- prompts: the stories' model asked, with and without demonstrations, beside a soft prompt, LoRA and all weights.
- packing: tokens per second against padded batches, and the difference of gradients.
"""

import importlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hf_strategies.errors import UserError, did_you_mean

from . import Findings, Table, require_at_least

if TYPE_CHECKING:
    from .tuning_runs.scope import Report

# A module of tuning_runs each: `plan` lists its runs, `report` reads their rows.
PARTS = ("small_data", "adapters", "forgetting", "images", "prompts", "packing")
ROWS = Path(__file__).parent / "rows" / "finetune.jsonl"


def run(
    *,
    parts: tuple[str, ...] = PARTS,
    seeds: int = 5,
    max_steps: int | None = None,
    dry_run: bool = False,
    fresh: bool = False,
) -> Findings | None:
    """Run the parts.

    Args:
        parts: Which: small_data, adapters, forgetting, images, prompts, packing.
        seeds: Seeds of small_data and adapters; prompts take 3 of them at most, images 2, the others one.
        max_steps: Stop every run after so many updates, to see that all of it works; a section of its own.
        dry_run: Only say what would be run, and how long that takes.
        fresh: Forget what was measured on this device before.
    """
    require_at_least(1, seeds=seeds, **({} if max_steps is None else {"max_steps": max_steps}))
    unknown = [f"--parts: unknown part {part!r}{did_you_mean(part, PARTS)}" for part in parts if part not in PARTS]
    if unknown:
        raise UserError("\n".join(unknown))

    from .training_runs.measure import device_name, made_on
    from .training_runs.plan import remarks_on
    from .training_runs.rows import KeptRows
    from .tuning_runs.scope import Scope
    from .tuning_runs.trial import TunedRow
    from .tuning_runs.workshop import TuningWorkshop, describe_plan, make_all, tuning_code

    modules = {part: importlib.import_module(f"{__package__}.tuning_runs.{part}") for part in parts}
    workshop = TuningWorkshop("finetune", KeptRows(ROWS, TunedRow))
    if fresh and not dry_run:
        workshop.rows.forget(device_name())
    scope = Scope(seeds=seeds, max_steps=max_steps)
    trials = [trial for module in modules.values() for trial in module.plan(scope)]
    print(describe_plan(trials, workshop), flush=True)
    if dry_run:
        return None
    made = make_all(trials, workshop)
    reports = {part: module.report([row for row in made if row.part == part]) for part, module in modules.items()}
    found = collect(reports, condition="" if max_steps is None else f"{max_steps} updates per run")
    origin = made_on([row.finished for row in made], [row.environment for row in made])
    return replace(found, remarks=[*found.remarks, *remarks_on(made, tuning_code())], origin=origin)


def collect(reports: "Mapping[str, Report]", *, condition: str) -> Findings:
    """Put the parts' goals into one table, above their own tables; draw the scores of those that have some."""
    from .training_runs.pictures import draw_scores, picture_path

    goals = [goal.row() for report in reports.values() for goal in report.goals]
    tables = [Table(goals, "goals")] if goals else []
    tables += [table for report in reports.values() for table in report.tables]
    pictures = []
    for part, report in reports.items():
        if report.scores:
            picture = picture_path(f"finetune {part}", condition)
            draw_scores(report.scores, picture, title="Accuracy by seed")
            pictures.append((picture, f"{part}: accuracy by seed"))
    remarks = [remark for report in reports.values() for remark in report.remarks]
    return Findings(tables, pictures, remarks, condition=condition)
