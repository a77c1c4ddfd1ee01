"""What each GPU holds of a run, by the way it is spread: pure arithmetic on bytes.

Mixed precision keeps float32 master weights. Without an engine, and under FSDP2, these are the weights themselves;
DeepSpeed keeps a copy for its optimizer, beside weights in the low precision. ZeRO: Rajbhandari et al. 2020
(https://arxiv.org/abs/1910.02054), section 3; pipeline: 1F1B as in Narayanan et al. 2021
(https://arxiv.org/abs/2104.04473), section 2.2.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from hf_strategies.planning.step_trace import StepTrace
from hf_strategies.runs.state_memory import States

MASTER_BYTES = 4  # per trained element, float32
MAX_LIVE = 10**9  # elements that ZeRO-3 keeps gathered, by its own default
BUCKETS = 2  # that ZeRO reduces gradients in, one while the other is sent


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A run that is to be spread.

    Args:
        states: Of the whole model, in float32 or, where its base is quantized, as small as that makes them.
        gpus: Number of GPUs.
        element_bytes: Of an element in what is computed in: 2, or 4 in float32.
        micro_batches: Of an update, on each GPU.
        block_elements: In all blocks.
        num_blocks: Number of them.
        hidden_size: Width of the model, whose square is the size of a bucket.
        traces: A step by whether activations are recomputed, where the model can do that: of weights in float32,
            computed in low precision.
        low_traces: The same with weights in low precision.
        elementwise: Whether the optimizer runs on flat shards.
        dtensors: Whether it runs on FSDP2's shards.
    """

    states: States
    gpus: int
    element_bytes: int
    micro_batches: int
    block_elements: int
    num_blocks: int
    hidden_size: int
    traces: dict[bool, StepTrace]
    low_traces: dict[bool, StepTrace]
    elementwise: bool
    dtensors: bool

    @property
    def elements(self) -> int:
        """Of the whole model."""
        return self.states.trained + self.states.frozen

    @property
    def low_weights(self) -> int:
        """Bytes of the weights in low precision; a quantized base stays as it is."""
        frozen = self.states.weights - MASTER_BYTES * self.states.trained
        return self.element_bytes * self.states.trained + min(frozen, self.element_bytes * self.states.frozen)

    def low_activations(self, *, recompute: bool) -> int:
        """Bytes that a micro-batch needs besides weights and gradients, where weights are in low precision."""
        return self.low_traces[recompute].later - self.element_bytes * self.states.trained


@dataclass(frozen=True, kw_only=True)
class Share:
    """Bytes on one GPU, and in its machine's memory for all of its GPUs."""

    weights: float
    gradients: float
    optimizer: float
    buffers: float
    activations: float
    host: float = 0.0

    @property
    def total(self) -> float:
        """Bytes on the GPU."""
        return self.weights + self.gradients + self.optimizer + self.buffers + self.activations


@dataclass(frozen=True)
class Placement:
    """A way to spread a run, by the name of its configuration.

    Args:
        name: In accelerate_configs/.
        share: What a GPU holds, given the run and whether activations are recomputed.
        needs: Why a run cannot be spread so, or nothing.
        offloads: Whether something waits in the host's memory, which is slow.
    """

    name: str
    share: Callable[[Workload, bool], Share]
    needs: Callable[[Workload], str]
    offloads: bool = False


def replicated(work: Workload, recompute: bool) -> Share:
    """Hold everything on each GPU; gradients are sent in buckets that are a copy of them."""
    trace, gradients = work.traces[recompute], work.states.gradients
    peak = trace.later if work.micro_batches > 1 else max(trace.first, gradients)
    return Share(
        weights=work.states.weights,
        gradients=gradients,
        optimizer=work.states.optimizer,
        buffers=gradients if work.gpus > 1 else 0,
        activations=peak - gradients,
    )


def zero(stage: int, offload: bool, work: Workload, recompute: bool) -> Share:
    """Divide the optimizer's state, from stage 2 on the gradients, at stage 3 the weights."""
    size, trained = work.element_bytes, work.states.trained
    weights, gradients = work.low_weights, size * trained
    optimizer = MASTER_BYTES * trained + work.states.optimizer
    buffers = BUCKETS * size * min(work.hidden_size**2, trained) if stage >= 2 else 0
    if stage == 3:
        buffers += size * min(work.elements, MAX_LIVE)
    host = optimizer + MASTER_BYTES * trained + (weights if stage == 3 else 0) if offload else 0.0
    return Share(
        weights=0 if offload and stage == 3 else weights / (work.gpus if stage == 3 else 1),
        gradients=0 if offload else gradients / (work.gpus if stage >= 2 else 1),
        optimizer=0 if offload else optimizer / work.gpus,
        buffers=buffers,
        activations=work.low_activations(recompute=recompute),
        host=host,
    )


def fsdp2(offload: bool, work: Workload, recompute: bool) -> Share:
    """Divide everything, and gather a block, the next one, and what is outside of the blocks in low precision."""
    outside, block = work.elements - work.block_elements, work.block_elements / max(work.num_blocks, 1)
    parts = {
        "weights": work.states.weights / work.gpus,
        "gradients": work.states.gradients / work.gpus,
        "optimizer": work.states.optimizer / work.gpus,
    }
    return Share(
        **(dict.fromkeys(parts, 0) if offload else parts),
        buffers=work.element_bytes * (outside + 2 * block) + MASTER_BYTES * max(outside, block),
        activations=work.low_activations(recompute=recompute),
        host=work.gpus * sum(parts.values()) if offload else 0.0,
    )


def pipeline(work: Workload, recompute: bool) -> Share:
    """Divide the blocks into as many stages as there are GPUs; all of them are one replica.

    So each gets the micro-batches of all, and the first stage keeps its part of one for every stage: of one in all.
    """
    outside = work.elements - work.block_elements
    share = (work.block_elements / work.gpus + outside) / work.elements
    return Share(
        weights=share * work.low_weights,
        gradients=share * work.element_bytes * work.states.trained,
        optimizer=share * (MASTER_BYTES * work.states.trained + work.states.optimizer),
        buffers=0,
        activations=work.low_activations(recompute=recompute),
    )


def _nothing(_: Workload) -> str:
    return ""


def _flat_shards(work: Workload) -> str:
    return "" if work.elementwise else "the optimizer is not element-wise"


def _sharded_tensors(work: Workload) -> str:
    return "" if work.dtensors else "the optimizer takes no shards of tensors"


def _stages(work: Workload) -> str:
    if work.num_blocks < work.gpus:
        return f"{work.num_blocks} blocks make no {work.gpus} stages"
    return _flat_shards(work)


SINGLE = Placement("single_gpu", replicated, _nothing)
# From what costs least time to what costs most.
SPREAD = (
    Placement("ddp", replicated, _nothing),
    Placement("zero1", partial(zero, 1, False), _flat_shards),
    Placement("zero2", partial(zero, 2, False), _flat_shards),
    Placement("fsdp2", partial(fsdp2, False), _sharded_tensors),
    Placement("zero3", partial(zero, 3, False), _flat_shards),
    Placement("pipeline", pipeline, _stages),
)
OFFLOADED = (
    Placement("zero2_offload", partial(zero, 2, True), _flat_shards, offloads=True),
    Placement("fsdp2_offload", partial(fsdp2, True), _sharded_tensors, offloads=True),
    Placement("zero3_offload", partial(zero, 3, True), _flat_shards, offloads=True),
)


def placements(gpus: int) -> list[Placement]:
    """List the ways to spread a run over so many GPUs, the cheapest first."""
    return [*(SPREAD if gpus > 1 else (SINGLE,)), *OFFLOADED]


def cheapest(work: Workload, memory: float) -> tuple[Placement, bool] | None:
    """Choose the cheapest way that fits.

    Recomputing activations, a third more work, is tried before anything waits in the host's memory.

    Args:
        work: The run.
        memory: Bytes of a GPU that it may fill.

    Returns:
        The way, and whether activations are recomputed; None where nothing fits.
    """
    ways = [way for way in placements(work.gpus) if not way.needs(work)]
    for offloads in (False, True):
        for recompute in work.traces:
            for way in ways:
                if way.offloads == offloads and way.share(work, recompute).total <= memory:
                    return way, recompute
    return None
