"""What a model ends in: the host's class for each head, and which models it fits.

A language model's head belongs to how the model reads, so a pretraining objective fits one kind of model alone. The
head of a classification goes on any body that the host can give one.
"""

from transformers import (
    AutoModelForCausalLM,
    AutoModelForImageClassification,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoModelForVideoClassification,
    PretrainedConfig,
)

from hf_strategies.errors import UserError
from hf_strategies.models import hyena as _hyena  # noqa: F401 - makes it known to the host's Auto classes
from hf_strategies.models import recurrent as _recurrent  # noqa: F401 - likewise
from hf_strategies.models import resnet3d as _resnet3d  # noqa: F401 - likewise
from hf_strategies.models import transformer as _transformer  # noqa: F401 - likewise

HEADS = {
    "causal": AutoModelForCausalLM,
    "masked": AutoModelForMaskedLM,
    "seq2seq": AutoModelForSeq2SeqLM,
    "sequence-classification": AutoModelForSequenceClassification,
    "token-classification": AutoModelForTokenClassification,
    "image-classification": AutoModelForImageClassification,
    "video-classification": AutoModelForVideoClassification,
}
HEAD_OF = {"causal": "causal", "masked": "masked", "span": "seq2seq"}  # by objective of pretraining
NEEDS = {"causal": "a decoder", "masked": "an encoder", "seq2seq": "an encoder and a decoder"}


def check_head(config: PretrainedConfig, head: str, name: str) -> None:
    """Refuse a model that cannot have a head.

    Args:
        config: Of the model.
        head: A key of `HEADS`.
        name: What the model is called in the message.

    Raises:
        UserError: It cannot; says which objective fits the model, if one does.
    """
    if head not in NEEDS:
        if not _offers(config, head):
            others = ", ".join(other for other in HEADS if _offers(config, other)) or "none"
            raise UserError(f"{name} is a {config.model_type}, which has no head for {head} (it has: {others})")
        return
    fits = pretraining_objective(config)
    if fits is None or HEAD_OF[fits] != head:
        cure = f", and this is {NEEDS[HEAD_OF[fits]]} (objective {fits} fits it)" if fits else ""
        raise UserError(f"{name} is a {config.model_type}: a {head} head needs {NEEDS[head]}{cure}")


def pretraining_objective(config: PretrainedConfig) -> str | None:
    """Return the objective that a model can be pretrained with; None where there is no such one.

    What the host offers both as an encoder and as a decoder (BERT) is a decoder where its config says `is_decoder`.
    """
    if config.is_encoder_decoder:
        return "span" if _offers(config, "seq2seq") else None
    if _offers(config, "masked") and not getattr(config, "is_decoder", False):
        return "masked"
    return "causal" if _offers(config, "causal") else None


def _offers(config: PretrainedConfig, head: str) -> bool:
    """Tell whether the host, or code that comes with the model, has a class with this head."""
    own_code = getattr(config, "auto_map", None) or {}
    return type(config) in HEADS[head]._model_mapping or HEADS[head].__name__ in own_code
