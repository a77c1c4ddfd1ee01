"""DeepSpeed sums the gradients of micro-batches in the precision that its file names: a real engine of each stage."""

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SMALL, MICRO_BATCHES = 2**-9, 16  # half of what bfloat16 can add to 1

TRAIN = """
import json, os, sys
import deepspeed, torch
from torch import nn
from hf_strategies.distributed.zero import trained_shares, zero_optimizer

folder, small, micro_batches = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
deepspeed.init_distributed("gloo")

class Line(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(8))
    def forward(self, slope):
        return (self.weight * slope).sum()

moved = {}
for stage in (1, 2, 3):
    for summed_in in ("bf16", "fp32"):
        config = {
            "zero_optimization": {"stage": stage},
            "bf16": {"enabled": True},
            "data_types": {"grad_accum_dtype": summed_in},
            "gradient_clipping": 100.0,
            "train_micro_batch_size_per_gpu": 1,
            "gradient_accumulation_steps": micro_batches,
            "zero_allow_untested_optimizer": True,
        }
        model = Line()
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
        engine, *_ = deepspeed.initialize(model=model, optimizer=optimizer, config=config)
        for number in range(micro_batches):
            loss = engine(1.0 if number == 0 else small) * 1.0  # as the host, which divides by what was counted
            engine.backward(loss, scale_wrt_gas=False)
            engine.step()
        moved[f"{stage} {summed_in}"] = -trained_shares(zero_optimizer(engine.optimizer))[0][0].item()
with open(f"{folder}/moved.json", "w") as file:
    json.dump(moved, file)
"""


@pytest.fixture(scope="module")
def moved(forked_python, tmp_path_factory) -> dict[str, float]:
    """How far one update of SGD at a rate of 1 moves a weight, by stage and precision."""
    pytest.importorskip("deepspeed")
    folder = tmp_path_factory.mktemp("accumulation")
    (folder / "train.py").write_text(TRAIN)
    launcher = [forked_python, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "1"]
    done = subprocess.run(
        [*launcher, str(folder / "train.py"), str(folder), str(SMALL), str(MICRO_BATCHES)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads((folder / "moved.json").read_text())


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_small_gradients_are_lost_in_bf16_and_kept_in_fp32(moved, stage):
    assert moved[f"{stage} bf16"] == 1.0
    # Stage 1 rounds the whole sum once, to reduce it in bf16.
    assert moved[f"{stage} fp32"] == pytest.approx(1.0 + (MICRO_BATCHES - 1) * SMALL, abs=2**-8)
