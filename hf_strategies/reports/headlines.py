"""Which of a run's results come first, and how they are called."""

from collections.abc import Mapping

from hf_strategies.reports.terminal import format_duration, format_number

# Left out: the cost of evaluating, and the loss in other units.
DETAILS = ("_runtime", "_per_second", "_time", "eval_nats_per_token", "eval_perplexity")


def headlines(results: Mapping[str, float]) -> list[tuple[str, str]]:
    """Return what a run came to, as (label, text): its losses and scores, then its speed and its time.

    Args:
        results: As in `all_results.json`: `eval_loss`, `eval_bits_per_byte`, `eval_<metric of a task>`,
            `train_tokens_per_second` or else `train_samples_per_second`, `train_runtime` in seconds. What is missing
            is left out.
    """
    first = {"eval_loss": "evaluation loss", "eval_bits_per_byte": "bits per byte"}
    scores = {
        name: name.removeprefix("eval_").replace("_", " ")
        for name in results
        if name.startswith("eval_") and name not in first and not name.endswith(DETAILS)
    }
    unit = "tokens" if results.get("train_tokens_per_second") else "samples"  # the host counts 0 tokens of pictures
    labels = {**first, **scores, f"train_{unit}_per_second": f"{unit} per second"}
    shown = [(label, format_number(results[name])) for name, label in labels.items() if name in results]
    if "train_runtime" in results:
        shown.append(("training time", format_duration(results["train_runtime"])))
    return shown
