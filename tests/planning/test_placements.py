import pytest

from hf_strategies.planning.gpu_memory import advice, share_rows
from hf_strategies.planning.placements import Placement, Workload, cheapest, placements
from hf_strategies.planning.step_trace import StepTrace
from hf_strategies.runs.state_memory import States

ELEMENTS = 1_000_000_000
STEP = 2_000_000_000  # bytes of activations


def work(gpus=8, **changes) -> Workload:
    """A thousand million parameters under Adam, in bf16; a tenth of them outside of 10 blocks."""
    settings = {
        "states": States(
            weights=4 * ELEMENTS, gradients=4 * ELEMENTS, optimizer=8 * ELEMENTS, trained=ELEMENTS, frozen=0
        ),
        "gpus": gpus,
        "element_bytes": 2,
        "micro_batches": 2,
        "block_elements": 9 * ELEMENTS // 10,
        "num_blocks": 10,
        "hidden_size": 1000,
        "traces": {
            recompute: StepTrace(activations=step, first=step + ELEMENTS, later=step + 4 * ELEMENTS)
            for recompute, step in ((False, STEP), (True, STEP // 10))
        },
        "low_traces": {
            recompute: StepTrace(activations=step, first=step, later=step + 2 * ELEMENTS)
            for recompute, step in ((False, STEP), (True, STEP // 10))
        },
        "elementwise": True,
        "dtensors": True,
    }
    return Workload(**{**settings, **changes})


def way(name: str, gpus: int = 8) -> Placement:
    return next(found for found in placements(gpus) if found.name == name)


@pytest.mark.parametrize(
    ("name", "bytes_per_parameter"),
    [
        ("ddp", 4 + 4 + 8 + 4),  # the gradients' buckets are a copy
        ("zero1", 4 + 12 / 8),  # Rajbhandari et al. 2020, figure 1: 2 + 2 + 12/N
        ("zero2", 2 + 14 / 8),
        ("zero3", 16 / 8 + 2),  # and what is gathered: up to a thousand million parameters stay
        ("fsdp2", 16 / 8 + 2 * (0.1 + 2 * 0.09) + 4 * 0.1),
        ("pipeline", 16 * (0.9 / 8 + 0.1)),
        ("zero2_offload", 2),
        ("zero3_offload", 2),
        ("fsdp2_offload", 2 * (0.1 + 2 * 0.09) + 4 * 0.1),
    ],
)
def test_bytes_per_parameter_by_hand(name, bytes_per_parameter):
    share = way(name).share(work(), False)
    states = share.total - share.activations
    assert states / ELEMENTS == pytest.approx(bytes_per_parameter, abs=0.01)  # buckets of hidden_size^2


def test_one_gpu_holds_everything_and_sends_nothing():
    share = way("single_gpu", gpus=1).share(work(gpus=1), False)
    assert share.total == 16 * ELEMENTS + STEP


def test_what_is_offloaded_waits_in_the_host_once_for_all_gpus():
    assert way("zero2_offload").share(work(), False).host == (12 + 4) * ELEMENTS
    assert way("zero3_offload").share(work(), False).host == (12 + 4 + 2) * ELEMENTS
    assert way("fsdp2_offload").share(work(), False).host == 16 * ELEMENTS


def test_a_single_micro_batch_makes_its_gradients_while_activations_go():
    """The first peak counts both; it cannot be less than all gradients, which stay until the optimizer steps."""
    assert way("ddp").share(work(micro_batches=2), False).activations == STEP
    assert way("ddp").share(work(micro_batches=1), False).activations == 0  # 3 GB at most, of the gradients' 4
    large = {False: StepTrace(activations=STEP, first=9 * ELEMENTS, later=12 * ELEMENTS)}
    assert way("ddp").share(work(micro_batches=1, traces=large), False).activations == 5 * ELEMENTS


@pytest.mark.parametrize("micro_batches", [1, 32])
def test_stages_get_the_micro_batches_of_all_gpus(micro_batches):
    share = way("pipeline").share(work(micro_batches=micro_batches), False)
    assert share.activations == STEP  # an eighth of each of the eight that are under way


def test_a_quantized_base_stays_as_small_as_it_is():
    quantized = States(weights=ELEMENTS // 2, gradients=0, optimizer=0, trained=0, frozen=ELEMENTS)
    assert work(states=quantized).low_weights == ELEMENTS // 2
    plain = States(weights=4 * ELEMENTS, gradients=0, optimizer=0, trained=0, frozen=ELEMENTS)
    assert work(states=plain).low_weights == 2 * ELEMENTS


@pytest.mark.parametrize(
    ("gigabytes", "chosen"),
    [
        (23, ("ddp", False)),
        (21, ("zero1", False)),  # ddp would fit as well, with a third more work
        (5.8, ("zero2", False)),
        (5.0, ("fsdp2", False)),
        (4.0, ("zero2", True)),
        (3.2, ("fsdp2", True)),
        (3.0, ("fsdp2_offload", False)),
        (2.3, ("zero2_offload", True)),
        (1.0, None),
    ],
)
def test_the_cheapest_way_that_fits(gigabytes, chosen):
    found = cheapest(work(), gigabytes * 1e9)
    assert (found and (found[0].name, found[1])) == chosen


def test_an_optimizer_of_whole_tensors_is_not_put_on_shards():
    muon, lamb = work(elementwise=False), work(elementwise=False, dtensors=False)
    assert {name for name in ("zero1", "zero2", "zero3", "pipeline") if way(name).needs(muon)} == {
        "zero1", "zero2", "zero3", "pipeline",
    }  # fmt: skip
    assert not way("fsdp2").needs(muon)
    assert cheapest(muon, 5e9)[0].name == "fsdp2"
    assert cheapest(lamb, 5e9) is None
    assert cheapest(work(dtensors=False), 3.7e9)[0].name == "pipeline"
    assert cheapest(lamb, 25e9)[0].name == "ddp"


def test_more_stages_than_blocks_are_none():
    assert way("pipeline").needs(work(num_blocks=4)) == "4 blocks make no 8 stages"


def test_a_table_and_a_command_say_what_fits():
    rows = {row[0]: row for row in share_rows(work(), 5.5e9)}
    assert rows["zero1"][1:8] == ["2.00 GB", "2.00 GB", "1.50 GB", "0 MB", "2.00 GB", "7.50 GB", "5.70 GB"]
    assert {name: rows[name][-1] for name in ("zero1", "zero2", "fsdp2")} == {
        "zero1": "no", "zero2": "(yes)", "fsdp2": "yes",
    }  # fmt: skip
    (line, told) = advice(work(), 24e9 / 0.9, "scripts/pretrain.py mine.yaml")
    assert line == (
        "cheapest  accelerate launch --config_file accelerate_configs/ddp.yaml --num_processes 8 "
        "scripts/pretrain.py mine.yaml"
    )
    assert "22.0 GB of 26.7 GB on each GPU" in told


def test_nothing_that_fits_is_said_with_what_would():
    told = advice(work(), 1e9, "scripts/pretrain.py")
    assert told[0].startswith("cheapest  none fits: fsdp2_offload with --gradient_checkpointing needs GPUs of ")
