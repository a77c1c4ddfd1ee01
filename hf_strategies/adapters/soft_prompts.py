"""Tokens that no text has, trained and put before every input, as configs of peft.

Both are saved as they are trained. What a network makes that is thrown away afterwards (p-tuning, prefix tuning with a
projection) cannot be resumed: peft saves its output alone.
"""

from peft import PrefixTuningConfig, PromptTuningConfig

from hf_strategies.adapters.placement import Placement


def prefix_tuning(place: Placement, *, num_virtual_tokens: int = 20) -> PrefixTuningConfig:
    """Train the keys and values of `num_virtual_tokens` tokens in every layer."""
    return PrefixTuningConfig(
        task_type=place.task_type, modules_to_save=place.heads or None, num_virtual_tokens=num_virtual_tokens
    )


def prompt_tuning(place: Placement, *, num_virtual_tokens: int = 20) -> PromptTuningConfig:
    """Train the embeddings of `num_virtual_tokens` tokens, from those of tokens drawn from the vocabulary."""
    return PromptTuningConfig(
        task_type=place.task_type,
        modules_to_save=place.heads or None,
        num_virtual_tokens=num_virtual_tokens,
        prompt_tuning_init="SAMPLE_VOCAB",
    )
