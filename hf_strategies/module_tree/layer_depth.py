"""How deep in a model each parameter stands, found from the module tree."""

from torch import nn

from hf_strategies.module_tree.blocks import find_blocks
from hf_strategies.module_tree.embeddings import input_embeddings


def layer_depths(model: nn.Module, *, needed_by: str, instead: str) -> tuple[dict[nn.Parameter, int], int]:
    """Number a model's parameters from its input to its output.

    Embeddings (also those that a head shares) and what is registered before the first block have depth 0, block `i`
    has `i + 1`, what comes after the last one has one more than that. A decoder's blocks count on from its encoder's.
    What stands between two blocks belongs to the one before it.

    Args:
        model: The whole model, wrapped or not.
        needed_by: The setting that asks, for the message where there are no blocks.
        instead: What its user may do then.

    Returns:
        The depth of every parameter, and the depth of the output: blocks + 1.

    Raises:
        UserError: There are no blocks.
    """
    embeddings = input_embeddings(model)
    blocks = find_blocks(model, needed_by=needed_by, instead=instead)
    depths: dict[nn.Parameter, int] = {}
    for depth, block in enumerate(blocks, start=1):
        for module in block:
            for param in module.parameters():
                depths.setdefault(param, depth)
    in_blocks, reached, top = set(depths), 0, len(blocks) + 1
    for param in model.parameters():
        if param in in_blocks:
            reached = max(reached, depths[param])
        else:
            place = top if reached == len(blocks) else reached
            depths[param] = 0 if param in embeddings else place
    return depths, top
