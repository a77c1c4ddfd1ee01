import gc
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker, spawn
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, TrainingArguments

from hf_strategies.data.tokenizers import train_tokenizer
from hf_strategies.models import resolve_sizes
from hf_strategies.models.factory import create_config, create_model
from hf_strategies.models.heads import HEAD_OF

ROOT = Path(__file__).parents[1]
VOCAB = 258  # 256 bytes, end, pad
FORKED_PYTHON = Path(__file__).with_name("forked_python")
REAL_DATA = Path(os.environ.get("HF_STRATEGIES_DATA") or ROOT.parent / "shared" / "data")


@pytest.fixture(autouse=True, scope="module")
def imported_once():
    """What is imported by now is no garbage: the hosts' many calls of `gc.collect` need not look through it."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def tiny_lm() -> LlamaForCausalLM:
    """A two-layer random model; the same weights in every test."""
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCAB,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=32,
            pad_token_id=257,
            eos_token_id=256,
            bos_token_id=None,
        )
    )


@pytest.fixture
def token_rows() -> list[dict[str, torch.Tensor]]:
    rows = torch.randint(0, 256, (32, 16), generator=torch.Generator().manual_seed(0))
    return [{"input_ids": row, "labels": row} for row in rows]


@pytest.fixture(scope="session")
def byte_tokenizer() -> PreTrainedTokenizerFast:
    vocabulary = {symbol: i for i, symbol in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    vocabulary |= {"<end>": 256, "<pad>": 257}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", pad_token="<pad>")


@pytest.fixture
def arguments(tmp_path):
    def build(**changes) -> TrainingArguments:
        settings = {
            "max_steps": 4,
            "logging_steps": 1,
            "per_device_train_batch_size": 4,
            "per_device_eval_batch_size": 4,
            "use_cpu": True,
            "report_to": "none",
            "disable_tqdm": True,
            "save_strategy": "no",
        }
        return TrainingArguments(**{"output_dir": tmp_path / "out", **settings, **changes})

    return build


@pytest.fixture
def no_file_above():
    """Let no file become larger than so many bytes, within a `with`: a full disk, as far as a program can tell."""

    @contextmanager
    def limit(size: int):
        unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, unlimited[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)

    return limit


@pytest.fixture(scope="session")
def forked_python(tmp_path_factory) -> Iterator[str]:
    """Return what runs a program as `sys.executable` does, and at once: the libraries are there already.

    It is for programs that are not tested for what they import, for whose child they are, or for what outlives them.
    """
    if sys.platform != "linux":
        yield sys.executable
        return
    folder = tmp_path_factory.mktemp("forked")
    python = folder / "python"
    python.write_text(f"#!{sys.executable} -IS\n" + (FORKED_PYTHON / "client.py").read_text())
    python.chmod(0o755)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(FORKED_PYTHON / "server.py"), str(python)]
    with (
        (folder / "said.txt").open("w") as said,
        socket.socket(socket.AF_UNIX) as listening,
    ):
        listening.bind(str(folder / "socket"))
        listening.listen(64)  # clients wait until it has imported what there is
        server = subprocess.Popen(
            [*command, str(listening.fileno())], env=environment, pass_fds=[listening.fileno()],
            stdin=subprocess.PIPE, stdout=said, stderr=said,
        )  # fmt: skip
    yield str(python)
    server.stdin.close()
    server.wait()


@pytest.fixture
def forked_children(monkeypatch, forked_python) -> Iterator[None]:
    """Let what this process starts through `sys.executable` or `multiprocessing.spawn` be forked, too."""
    resource_tracker.ensure_running()  # is one for the whole session, so a child of its own
    fresh = spawn.get_executable()
    monkeypatch.setattr(sys, "executable", forked_python)
    spawn.set_executable(forked_python)
    yield
    spawn.set_executable(fresh)


@pytest.fixture(scope="session")
def launch_ranks(forked_python):
    """Run a Python program as the ranks of one job, on free ports, and fail with what the first bad one said."""

    def launch(program: str, *arguments: str, num_ranks: int = 2) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = str(probe.getsockname()[1])
        shared = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(num_ranks)}
        shared |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
        ranks = [
            subprocess.Popen(
                [forked_python, "-c", program, *arguments],
                env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": str(num_ranks)},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            for rank in range(num_ranks)
        ]
        try:
            for rank in ranks:
                _, errors = rank.communicate(timeout=300)
                assert rank.returncode == 0, errors[-3000:]
        finally:
            for rank in ranks:
                rank.kill()

    return launch


@pytest.fixture
def real_data():
    """Return the path of a real file or folder, or skip the test where it is not there."""

    def find(name: str) -> Path:
        path = REAL_DATA / name
        if not path.exists():
            pytest.skip(f"no real data at {path}: set HF_STRATEGIES_DATA to its folder")
        return path

    return find


@pytest.fixture(scope="session")
def text_checkpoint(tmp_path_factory):
    """Return the folder of a tiny checkpoint from scratch, with a tokenizer of bytes: "bert", "t5" or "gpt2"."""
    objectives = {"bert": "masked", "t5": "span", "gpt2": "causal"}
    made: dict[str, str] = {}

    def make(architecture: str) -> str:
        if architecture not in made:
            objective = objectives[architecture]
            tokenizer = train_tokenizer("bytes", [], objective=objective)
            tokens = {f"{kind}_token_id": getattr(tokenizer, f"{kind}_token_id") for kind in ("bos", "eos", "pad")}
            sizes, _ = resolve_sizes(
                architecture, {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
            )
            config = create_config(
                architecture, vocab_size=len(tokenizer), max_seq_length=128, sizes=sizes, tokens=tokens
            )
            torch.manual_seed(0)
            folder = tmp_path_factory.mktemp(architecture)
            create_model(config, head=HEAD_OF[objective]).save_pretrained(folder)
            tokenizer.save_pretrained(folder)
            made[architecture] = str(folder)
        return made[architecture]

    return make
