"""The whole plan of a run's memory, in words and tables."""

from hf_strategies.planning.gpu_memory import describe_gpus
from hf_strategies.planning.memory_request import MemoryRequest
from hf_strategies.planning.planned_model import PlannedModel
from hf_strategies.planning.process_memory import describe_process, states_of
from hf_strategies.reports.terminal import format_count


def plan_memory(request: MemoryRequest) -> str:
    """Write the plan: for GPUs of the size that was given, or for this machine.

    Raises:
        UserError: The model cannot be built, the optimizer does not fit it, or the batch does not divide.
    """
    planned = PlannedModel(request)
    states = states_of(planned)
    trained = f", {format_count(states.trained)} of them trained" if states.frozen else ""
    optimizer = request.arguments.strategy.optimizer or "an optimizer of the host's, taken for Adam"
    head = f"model     {format_count(states.trained + states.frozen)} parameters{trained}; {optimizer}"
    memory = request.gpu_memory
    return "\n".join([head, *(describe_process(planned) if memory is None else describe_gpus(planned, memory))])
