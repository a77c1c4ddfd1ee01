"""The machine that a trainer runs on: told in one line, and refused where it is another than was asked for."""

from accelerate.utils import DistributedType

from hf_strategies.distributed.deepspeed_settings import asked_deepspeed
from hf_strategies.distributed.machine import ALONE, DDP, DEEPSPEED, FSDP, Machine, asked_machine, check_machine
from hf_strategies.distributed.parallel_sizes import ParallelSizes
from hf_strategies.runs.job import say
from hf_strategies.runs.startup import describe_batch, precision_name
from hf_strategies.training import StrategyMixin

ENGINES = {DistributedType.DEEPSPEED: DEEPSPEED, DistributedType.FSDP: FSDP}


def announce_machine(trainer: StrategyMixin, *, block_size: int | None) -> None:
    """Say on what a trainer runs, and how its processes share an update.

    Args:
        trainer: As its constructor has left it.
        block_size: Tokens per sequence; None where they have no common length.

    Raises:
        UserError: Something else was asked for.
    """
    args = trainer.args
    running = running_machine(trainer)
    check_machine(asked_machine(asked_deepspeed(args.deepspeed)), running)
    say(f"engine    {running}, {precision_name(args)}; {describe_batch(args, block_size)}")


def running_machine(trainer: StrategyMixin) -> Machine:
    """Read from a trainer what its processes share out."""
    accelerator = trainer.accelerator
    split, plugin = accelerator.parallelism_config, accelerator.state.deepspeed_plugin
    in_engine = (plugin.deepspeed_config.get("tensor_parallel") or {}).get("autotp_size", 1) if plugin else 1
    sizes = ParallelSizes(
        accelerator.num_processes,
        pipeline=trainer.num_stages,
        tensor=getattr(trainer.model, "_tp_size", None) or in_engine,
        context=split.cp_size * split.sp_size if split is not None else 1,
    )
    spread = DDP if sizes.world > 1 else ALONE
    return Machine(ENGINES.get(accelerator.distributed_type, spread), sizes, plugin.zero_stage if plugin else 0)
