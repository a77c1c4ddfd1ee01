"""What is trained to see how much memory it takes: models of 20 M parameters and more, settings that change it."""

# Flags of scripts/plan.py memory, and so of scripts/pretrain.py.
COMMON = (
    "--parameters 24M --vocab_size 8192 --max_seq_length 256 --global_batch_size 4 --per_device_train_batch_size 4 "
    "--per_device_eval_batch_size 4 --no_bf16 --optimizer adamw --guard_snapshot_steps 1"
)
CASES = {
    "transformer_pp, adamw": "",
    "transformer_pp, muon": "--optimizer muon",
    "transformer_pp, lion": "--optimizer lion",
    "transformer_pp, lamb": "--optimizer lamb",
    "transformer_pp, activations recomputed": "--gradient_checkpointing",
    "transformer_pp, four micro-batches": "--per_device_train_batch_size 1",
    "transformer_pp, no snapshots": "--guard_snapshot_steps 0",
    "transformer_pp, bf16": "--bf16",
    "transformer_pp, vocabulary of 32,768": "--vocab_size 32768 --parameters 36M",
    "transformer_pp, rows of 1,024": "--max_seq_length 1024 --global_batch_size 1 --per_device_train_batch_size 1",
    "transformer_pp, 60 M": "--parameters 60M",
    "transformer_pp, 60 M, lora": "--parameters 60M --adapter lora",
    "gpt2, adamw": "--architecture gpt2",
    "bert, masked, adamw": "--architecture bert --objective masked",
    "t5, span, adamw": "--architecture t5 --objective span",
}


def words_of(case: str) -> list[str]:
    """Return a case's flags; a later one takes the place of an earlier one."""
    chosen: dict[str, list[str]] = {}
    words: list[str] = []
    for word in f"{COMMON} {CASES[case]}".split():
        if word.startswith("--"):
            words = chosen[word.removeprefix("--no_").removeprefix("--")] = []
        words.append(word)
    return [word for words in chosen.values() for word in words]
