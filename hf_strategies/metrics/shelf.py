"""The metrics that can be chosen by name.

What stands behind a name takes predictions and references of a whole evaluation set, and its settings by keyword, and
returns one number. The facts: `inputs` is the function of `inputs` that reads both; `range` is what the number lies
in; `tasks` are the fine-tuning tasks it is made for; `package` and `extra` are what must be installed besides.
"""

import math

from hf_strategies.registry import Registry

METRICS: Registry = Registry("metric")

ONE_LABEL = ("text-classification", "image-classification", "clip-classification")
GENERATION = ("seq2seq", "causal-lm")

METRICS.add(
    "accuracy",
    "hf_strategies.metrics.classification:accuracy",
    summary="share of rows, or of tokens, whose class is predicted",
    inputs="class_labels",
    range=(0.0, 1.0),
    greater_is_better=True,
    tasks=(*ONE_LABEL, "token-classification"),
)
METRICS.add(
    "f1",
    "hf_strategies.metrics.classification:f1",
    summary="F1 of one of two classes, class 1 unless said otherwise",
    inputs="class_labels",
    range=(0.0, 1.0),
    greater_is_better=True,
    tasks=ONE_LABEL,
)
METRICS.add(
    "f1_macro",
    "hf_strategies.metrics.classification:f1_macro",
    summary="F1 of every class, each counted once: rare classes weigh as much as frequent ones",
    inputs="class_labels",
    range=(0.0, 1.0),
    greater_is_better=True,
    tasks=(*ONE_LABEL, "token-classification"),
)
METRICS.add(
    "f1_micro",
    "hf_strategies.metrics.classification:f1_micro",
    summary="F1 of all decisions together: the accuracy, where each row has one class",
    inputs="class_labels",
    range=(0.0, 1.0),
    greater_is_better=True,
    tasks=(*ONE_LABEL, "token-classification"),
)
METRICS.add(
    "f1_weighted",
    "hf_strategies.metrics.classification:f1_weighted",
    summary="F1 of every class, each counted as often as it is true",
    inputs="class_labels",
    range=(0.0, 1.0),
    greater_is_better=True,
    tasks=(*ONE_LABEL, "token-classification"),
)
METRICS.add(
    "matthews_correlation",
    "hf_strategies.metrics.classification:matthews_correlation",
    summary="correlation of true and predicted classes: 0 for guessing, however unequal the classes",
    paper="https://doi.org/10.1016/0005-2795(75)90109-9",
    inputs="class_labels",
    range=(-1.0, 1.0),
    greater_is_better=True,
    tasks=ONE_LABEL,
)
METRICS.add(
    "top_k_accuracy",
    "hf_strategies.metrics.classification:top_k_accuracy",
    summary="share of rows whose class is among the k with the highest scores, k = 5 unless said otherwise",
    inputs="class_scores",
    range=(0.0, 1.0),
    greater_is_better=True,
    tasks=ONE_LABEL,
)
METRICS.add(
    "subset_accuracy",
    "hf_strategies.metrics.classification:subset_accuracy",
    summary="share of rows of several labels whose labels are all predicted, and no other",
    inputs="indicators",
    range=(0.0, 1.0),
    greater_is_better=True,
    tasks=("text-classification",),
)
METRICS.add(
    "multilabel_f1_macro",
    "hf_strategies.metrics.classification:multilabel_f1_macro",
    summary="F1 of several labels per row, each label counted once",
    inputs="indicators",
    range=(0.0, 1.0),
    greater_is_better=True,
    tasks=("text-classification",),
)
METRICS.add(
    "multilabel_f1_micro",
    "hf_strategies.metrics.classification:multilabel_f1_micro",
    summary="F1 of several labels per row, each decision counted once",
    inputs="indicators",
    range=(0.0, 1.0),
    greater_is_better=True,
    tasks=("text-classification",),
)
METRICS.add(
    "pearson",
    "hf_strategies.metrics.regression:pearson",
    summary="linear correlation of predicted and true numbers",
    inputs="numbers",
    range=(-1.0, 1.0),
    greater_is_better=True,
    tasks=("text-classification",),
)
METRICS.add(
    "spearman",
    "hf_strategies.metrics.regression:spearman",
    summary="correlation of the ranks of predicted and true numbers",
    paper="https://doi.org/10.2307/1412159",
    inputs="numbers",
    range=(-1.0, 1.0),
    greater_is_better=True,
    tasks=("text-classification",),
)
METRICS.add(
    "mean_absolute_error",
    "hf_strategies.metrics.regression:mean_absolute_error",
    summary="mean distance of predicted and true numbers",
    inputs="numbers",
    range=(0.0, math.inf),
    greater_is_better=False,
    tasks=("text-classification",),
)
METRICS.add(
    "mean_squared_error",
    "hf_strategies.metrics.regression:mean_squared_error",
    summary="mean squared distance of predicted and true numbers",
    inputs="numbers",
    range=(0.0, math.inf),
    greater_is_better=False,
    tasks=("text-classification",),
)
METRICS.add(
    "entity_f1",
    "hf_strategies.metrics.entities:entity_f1",
    summary="F1 of whole entities, words and type: from tags IOB1, IOB2 or BIOES, lenient or strict",
    paper="https://aclanthology.org/W03-0419",
    inputs="tag_rows",
    range=(0.0, 1.0),
    greater_is_better=True,
    tasks=("token-classification",),
)
METRICS.add(
    "entity_precision",
    "hf_strategies.metrics.entities:entity_precision",
    summary="share of predicted entities that are right",
    paper="https://aclanthology.org/W03-0419",
    inputs="tag_rows",
    range=(0.0, 1.0),
    greater_is_better=True,
    tasks=("token-classification",),
)
METRICS.add(
    "entity_recall",
    "hf_strategies.metrics.entities:entity_recall",
    summary="share of true entities that are found",
    paper="https://aclanthology.org/W03-0419",
    inputs="tag_rows",
    range=(0.0, 1.0),
    greater_is_better=True,
    tasks=("token-classification",),
)
METRICS.add(
    "exact_match",
    "hf_strategies.metrics.generation:exact_match",
    summary="share of texts that are a right one, to the letter or as SQuAD compares them",
    paper="https://arxiv.org/abs/1606.05250",
    inputs="texts",
    range=(0.0, 1.0),
    greater_is_better=True,
    tasks=GENERATION,
)
METRICS.add(
    "bleu",
    "hf_strategies.metrics.generation:bleu",
    summary="n-grams of words that translations share, of the whole set, 0 to 100 (sacrebleu)",
    paper="https://aclanthology.org/P02-1040",
    inputs="texts",
    range=(0.0, 100.0),
    greater_is_better=True,
    tasks=GENERATION,
    package="sacrebleu",
    extra="text",
)
METRICS.add(
    "chrf",
    "hf_strategies.metrics.generation:chrf",
    summary="n-grams of characters that texts of any language share, of the whole set, 0 to 100 (sacrebleu)",
    paper="https://aclanthology.org/W15-3049",
    inputs="texts",
    range=(0.0, 100.0),
    greater_is_better=True,
    tasks=GENERATION,
    package="sacrebleu",
    extra="text",
)
ROUGE = {
    "rouge1": ("rouge1", "words that English summaries share"),
    "rouge2": ("rouge2", "pairs of words that English summaries share"),
    "rougeL": ("rouge_l", "longest common subsequence of English summaries"),
    "rougeLsum": ("rouge_l_sum", "longest common subsequences of English summaries, one sentence per line"),
}
for _name, (_attribute, _counts) in ROUGE.items():
    METRICS.add(
        _name,
        f"hf_strategies.metrics.generation:{_attribute}",
        summary=f"{_counts}, F1, mean over texts (rouge_score)",
        paper="https://aclanthology.org/W04-1013",
        inputs="texts",
        range=(0.0, 1.0),
        greater_is_better=True,
        tasks=GENERATION,
        package="rouge_score",
        extra="text",
    )
METRICS.add(
    "perplexity",
    "hf_strategies.metrics.perplexity:perplexity",
    summary="tokens that a language model hesitates between, from the log-likelihood of each",
    inputs="token_values",
    range=(1.0, math.inf),
    greater_is_better=False,
    tasks=("causal-lm",),
)
