"""How near written texts come to right ones. Several may be right for a row: the nearest counts."""

import re
import string
from collections.abc import Iterable
from functools import partial
from itertools import zip_longest
from typing import Any

from hf_strategies.errors import MissingPackageError, UserError, did_you_mean
from hf_strategies.metrics.inputs import texts

ARTICLES = re.compile(r"\b(a|an|the)\b")
WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)


def exact_match(predictions: Any, references: Any, *, normalize: bool = False) -> float:
    """Return the share of texts that are the same as a right one.

    Args:
        predictions: Texts.
        references: A text, or a list of them, for each prediction.
        normalize: Compare as SQuAD does (https://arxiv.org/abs/1606.05250): without case, punctuation and articles.
    """
    predicted, true = texts(predictions, references)
    form = normalize_answer if normalize else str
    same = [form(text) in map(form, right) for text, right in zip(predicted, true)]
    return sum(same) / len(same)


def normalize_answer(text: str) -> str:
    """Write an answer without case, ASCII punctuation, English articles and spare spaces."""
    return " ".join(ARTICLES.sub(" ", text.lower().translate(WITHOUT_PUNCTUATION)).split())


def bleu(predictions: Any, references: Any, *, tokenize: str = "13a", lowercase: bool = False) -> float:
    """Return BLEU of the whole set, 0 to 100, as sacrebleu computes it.

    Args:
        predictions: Texts.
        references: A text, or a list of them, for each prediction.
        tokenize: Tokenizer of sacrebleu: 13a, intl, zh, char, none, ...; scores of different ones do not compare.
        lowercase: Leave case out.

    Raises:
        UserError: There is no such tokenizer.
        MissingPackageError: sacrebleu is not installed.
    """
    try:
        from sacrebleu.metrics import BLEU
    except ImportError:
        raise MissingPackageError("sacrebleu", "text", "bleu") from None
    if tokenize not in BLEU.TOKENIZERS:
        raise UserError(f"bleu: no tokenizer {tokenize!r}{did_you_mean(tokenize, BLEU.TOKENIZERS)}")
    predicted, streams = _streams(predictions, references)
    return float(BLEU(tokenize=tokenize, lowercase=lowercase).corpus_score(predicted, streams).score)


def chrf(predictions: Any, references: Any, *, word_order: int = 0) -> float:
    """Return the F-score of character n-grams of the whole set, 0 to 100, as sacrebleu computes it.

    Args:
        predictions: Texts.
        references: A text, or a list of them, for each prediction.
        word_order: Longest n-gram of words that counts too: 0 is chrF, 2 is chrF++.

    Raises:
        MissingPackageError: sacrebleu is not installed.
    """
    try:
        from sacrebleu.metrics import CHRF
    except ImportError:
        raise MissingPackageError("sacrebleu", "text", "chrf") from None
    predicted, streams = _streams(predictions, references)
    return float(CHRF(word_order=word_order).corpus_score(predicted, streams).score)


def _streams(predictions: Any, references: Any) -> tuple[list[str], list[tuple[str | None, ...]]]:
    """Lay out right texts as sacrebleu takes them: all first ones, all second ones, None where a row has no more."""
    predicted, true = texts(predictions, references)
    return predicted, list(zip_longest(*true))


def rouge(kind: str, predictions: Any, references: Any, *, use_stemmer: bool = False) -> float:
    """Return ROUGE's F-score, 0 to 1, the mean over texts, as rouge_score computes it.

    Args:
        kind: "rouge1" and "rouge2" count n-grams, "rougeL" the longest common subsequence, "rougeLsum" that of
            sentences, each on a line of its own.
        predictions: Texts.
        references: A text, or a list of them, for each prediction.
        use_stemmer: Compare words without their English endings.

    Raises:
        UserError: Most letters of the right texts are not read.
        MissingPackageError: rouge_score is not installed.
    """
    try:
        from rouge_score.rouge_scorer import RougeScorer
    except ImportError:
        raise MissingPackageError("rouge_score", "text", kind) from None
    predicted, true = texts(predictions, references)
    if not rouge_reads(text for right in true for text in right):
        raise UserError(f"references: {kind} reads a to z and digits alone, most letters here are others; take chrf")
    scorer = RougeScorer([kind], use_stemmer=use_stemmer)
    scores = [scorer.score_multi(right, text)[kind].fmeasure for text, right in zip(predicted, true)]
    return float(sum(scores) / len(scores))


def rouge_reads(written: Iterable[str]) -> bool:
    """Tell whether ROUGE sees most of these texts: all but a to z and digits it takes for spaces."""
    seen = letters = 0
    for text in written:
        letters += sum(map(str.isalpha, text))
        seen += sum(map(str.isalpha, text.encode("ascii", "ignore").decode()))
    return 2 * seen >= letters


rouge1, rouge2 = partial(rouge, "rouge1"), partial(rouge, "rouge2")
rouge_l, rouge_l_sum = partial(rouge, "rougeL"), partial(rouge, "rougeLsum")
