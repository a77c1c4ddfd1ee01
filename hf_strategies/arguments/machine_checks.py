"""What a command line and the machine that it was launched on say against each other."""

from collections.abc import Iterator, Mapping
from typing import Any

from hf_strategies.arguments.merging import Value
from hf_strategies.distributed.asked_precision import SHORTENED, open_precisions
from hf_strategies.distributed.deepspeed_settings import asked_deepspeed
from hf_strategies.distributed.machine import asked_machine
from hf_strategies.errors import UserError
from hf_strategies.optimizers import OPTIMIZERS

OURS = {
    "optimizer": "optimizer, or optim",
    "scheduler": "scheduler, or lr_scheduler_type",
    "amp": "bf16, or fp16",
}
CLIPPING, UNSAID_CLIPPING = "gradient_clipping", 1.0  # in DeepSpeed's file, and what it does where that is not there


def machine_problems(values: dict[str, Value]) -> Iterator[str]:
    """Yield one line per contradiction between the settings and the launcher or DeepSpeed's file."""
    deepspeed = values.get("deepspeed")
    try:
        engine = asked_deepspeed(deepspeed.value if deepspeed else None)
        machine = asked_machine(engine)
    except UserError as error:
        yield str(error)
        return
    for block, setting in OURS.items():
        if engine is not None and block in engine:
            yield f"DeepSpeed's file has a block {block!r}, which would win in silence: remove it and set {setting}"
    isolated = values.get("isolate_documents")
    if machine.sizes.context > 1 and isolated and isolated.value:
        yield f"{isolated.where}: isolate_documents needs attention masks, which context parallelism has not"
    limit = values.get("max_grad_norm")
    if engine is not None and CLIPPING not in engine and limit and limit.value != UNSAID_CLIPPING:
        said = f"DeepSpeed's file has no {CLIPPING!r}, and would clip gradients to a norm of {UNSAID_CLIPPING:g}"
        yield f'{limit.where}: {said}: set it to "auto" there'
    yield from _cut_optimizer(values.get("optimizer"), (engine or {}).get("zero_optimization") or {})
    allowed = open_precisions(engine)
    source = "the launcher fixes" if engine is None else "DeepSpeed's file leaves"
    for name in SHORTENED:
        given = values.get(name)
        if given is None or given.value is None or given.from_recipe:  # a recipe does not know the machine
            continue
        asked = name if given.value else f"not {name}"
        if (given.value and name not in allowed) or (not given.value and allowed == (name,)):
            yield f"{given.where}: {asked} contradicts the machine: {source} {' or '.join(allowed)}"


def _cut_optimizer(optimizer: Value | None, zero: Mapping[str, Any]) -> Iterator[str]:
    """Refuse an optimizer of whole tensors where ZeRO cuts them into flat shares.

    DeepSpeed has a Muon of its own, which is another one: its updates are of another size, and iterate otherwise. The
    same settings would train another model there than on one device.
    """
    if optimizer is None or optimizer.value not in OPTIMIZERS or not zero.get("stage"):
        return
    if not OPTIMIZERS[optimizer.value].facts["elementwise"]:
        said = f"optimizer {optimizer.value} needs whole tensors, and ZeRO cuts them into flat shares"
        yield f"{optimizer.where}: {said}: use adamw, lion or schedule_free_adamw, or the machine ddp or fsdp2"
