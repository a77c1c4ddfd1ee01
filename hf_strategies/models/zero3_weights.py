"""A new model that ZeRO-3 takes apart as it is made, with the weights that any other run would draw."""

from collections.abc import Callable

import torch
from transformers import PreTrainedModel
from transformers.modeling_utils import set_zero3_state

from hf_strategies.distributed.agreement import decide_together
from hf_strategies.distributed.ranks import is_main_process


def create_partitioned(build: Callable[[], PreTrainedModel]) -> PreTrainedModel:
    """Build a model under ZeRO-3, and leave the random state as building it whole does.

    Taken apart, a model draws its weights in another order, and on one rank alone. So the main process draws them in
    a whole model of its own, and hands them on one by one; that model is gone when this returns.

    Args:
        build: Makes the model; it is asked for it twice on the main process, whose memory holds it whole once.
    """
    import deepspeed

    start = torch.get_rng_state()
    model = build()
    weights = {}
    if is_main_process():
        torch.set_rng_state(start)
        with set_zero3_state():  # tells the host that ZeRO-3 has been seen to: this one stays whole
            weights = dict(build().named_parameters())
    for name, param in model.named_parameters():
        with deepspeed.zero.GatheredParameters(param, modifier_rank=0), torch.no_grad():
            if weights:
                param.copy_(weights.pop(name))
    torch.set_rng_state(decide_together(torch.get_rng_state))
    return model
