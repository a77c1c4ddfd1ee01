import os
from pathlib import Path

import pytest
import yaml

from scripts.finetune import main as finetune_main
from scripts.pretrain import main

TINY = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "tokenizer": "bytes",
    "vocab_size": None,
    "max_seq_length": 32,
    "global_batch_size": "8",
    "per_device_train_batch_size": 8,
    "per_device_eval_batch_size": 8,
    "max_steps": 12,
    "warmup_steps": 0.25,
    "logging_steps": 1,
    "eval_steps": 6,
    "save_steps": 6,
    "max_eval_samples": 8,
    "num_completions": 1,
    "max_new_tokens": 4,
    "validation_share": 0.2,
}


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    """What is tokenized here stays away from the user's cache."""
    os.environ["HF_STRATEGIES_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> Path:
    """Forty short documents, a blank line between them."""
    path = tmp_path_factory.mktemp("corpus") / "corpus.txt"
    documents = [f"Document {n} says: " + " ".join(f"{n} times {k} is {n * k}." for k in range(12)) for n in range(40)]
    path.write_text("\n\n".join(documents) + "\n")
    return path


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> str:
    """A YAML file that makes the default recipe a matter of a second."""
    path = tmp_path_factory.mktemp("settings") / "tiny.yaml"
    path.write_text(yaml.safe_dump(TINY))
    return str(path)


@pytest.fixture
def pretrain(tmp_path, corpus, tiny):
    """Run the script in this process on a tiny model; returns its results and its folder."""

    def run(*flags: str, name: str = "out", train_file: Path = corpus):
        folder = tmp_path / name
        results = main([tiny, "--train_file", str(train_file), "--output_dir", str(folder), *flags])
        return results, folder

    return run


@pytest.fixture
def refuse(tmp_path, tiny, capsys):
    """Run the script on something wrong; returns the lines it says before it exits with 2."""

    def run(*flags: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main([tiny, "--output_dir", str(tmp_path / "refused"), *flags])
        assert ended.value.code == 2
        said = capsys.readouterr().err.strip()
        assert "Traceback" not in said
        return said

    return run


TUNED = {
    "per_device_train_batch_size": 8,
    "per_device_eval_batch_size": 32,
    "max_seq_length": 48,
    "num_train_epochs": 2,
    "learning_rate": 1.0e-3,
    "logging_steps": 1,
    "validation_share": 0.25,
    "bf16": False,
    "num_completions": 1,
    "max_new_tokens": 4,
}


@pytest.fixture
def finetune(tmp_path):
    """Run the script in this process on few rows; returns its results and its folder."""
    quick = tmp_path / "quick.yaml"

    def run(*flags: str, name: str = "out", **changes):
        folder = tmp_path / name
        settings = {key: value for key, value in {**TUNED, **changes}.items() if value is not None}
        quick.write_text(yaml.safe_dump(settings))
        results = finetune_main([str(quick), "--output_dir", str(folder), *flags])
        return results, folder

    return run


@pytest.fixture
def refuse_finetune(finetune, capsys):
    """Run the script on something wrong; returns the lines it says before it exits with 2."""

    def run(*flags: str, **options) -> str:
        with pytest.raises(SystemExit) as ended:
            finetune(*flags, **options)
        assert ended.value.code == 2
        said = capsys.readouterr().err.strip()
        assert "Traceback" not in said
        return said

    return run
