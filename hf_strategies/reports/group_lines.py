"""An optimizer's parameter groups as a table that stays short where every block has its own rate."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from hf_strategies.reports.terminal import format_number

GROUP_HEADERS = ("group", "tensors", "parameters", "learning rate", "decay", "optimizer")
OF_ONE_BLOCK = re.compile(r"block (\d+) (.+)")


def group_lines(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Write parameter groups under `GROUP_HEADERS`; those that differ in their block and its rate share a line.

    Args:
        rows: Mappings of group, tensors, parameters, lr, weight_decay and optimizer, as a "run" event has them; a
            group of one block is called "block 3 weights" or the like.
    """
    lines: dict[tuple, list[Mapping[str, Any]]] = {}
    for row in rows:
        what = OF_ONE_BLOCK.sub(r"block \2", row["group"])
        lines.setdefault((what, row["weight_decay"], row["optimizer"]), []).append(row)
    return [
        (
            _name([row["group"] for row in alike]),
            format_number(sum(row["tensors"] for row in alike)),
            format_number(sum(row["parameters"] for row in alike)),
            " to ".join(dict.fromkeys(format_number(bound([row["lr"] for row in alike])) for bound in (min, max))),
            format_number(weight_decay),
            optimizer,
        )
        for (_, weight_decay, optimizer), alike in lines.items()
    ]


def _name(groups: Sequence[str]) -> str:
    """Name one group, or several that differ in their block: "blocks 0-11 weights"."""
    matches = [match for match in map(OF_ONE_BLOCK.fullmatch, groups) if match]
    if len(matches) < 2:
        return groups[0]
    blocks = sorted(int(match[1]) for match in matches)
    together = blocks == list(range(blocks[0], blocks[0] + len(blocks)))
    numbers = f"{blocks[0]}-{blocks[-1]}" if together else ", ".join(map(str, blocks))
    return f"blocks {numbers} {matches[0][2]}"
