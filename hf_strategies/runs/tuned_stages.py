"""Fine-tuning in the stages of a pipeline: what of a checkpoint a process loads, and what stages have no part in."""

from transformers import TrainingArguments

from hf_strategies.arguments.tuning_topics import WeightArguments
from hf_strategies.distributed.deepspeed_settings import asked_deepspeed
from hf_strategies.distributed.pipeline.place import Place, asked_place
from hf_strategies.errors import UserError

LOOK_AT_NOTHING = (None, "lora")  # adapters that start without a look at the weights


def stage_to_load(weights: WeightArguments, args: TrainingArguments) -> Place | None:
    """Return the place whose weights a process loads; None where it loads all, if only to let go of some.

    Raises:
        UserError: A pipeline is asked for together with what takes a whole model.
    """
    place = asked_place(asked_deepspeed(args.deepspeed), rank=args.process_index)
    if place is None:
        return None
    for name, asked, instead in (
        ("quantization", weights.quantization, "take DDP, which keeps a model on each device"),
        ("merge_adapter", weights.merge_adapter, "leave it out, and merge the adapter that is saved with peft"),
    ):
        if asked:
            raise UserError(f"{name} takes the whole model, and a pipeline spreads it over stages: {instead}")
    return place if weights.adapter in LOOK_AT_NOTHING and not weights.reinitialize_blocks else None
