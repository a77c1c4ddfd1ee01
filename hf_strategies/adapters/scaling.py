"""IA3, as a config of peft."""

from peft import IA3Config

from hf_strategies.adapters.placement import Placement


def ia3(place: Placement) -> IA3Config:
    """Multiply what goes into attention, and what is inside the feed-forward layers, by a vector that starts at 1.

    The paper scales keys, values and the inner activation; here queries too, where they are a layer of their own: in a
    product with keys their factor says nothing new.
    """
    return IA3Config(
        task_type=place.task_type,
        target_modules=place.targets,
        feedforward_modules=place.feed_forward,
        modules_to_save=place.heads or None,
        fan_in_fan_out=place.transposed,
    )
