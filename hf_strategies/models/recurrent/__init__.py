"""LSTM and GRU as models of the host's kind: a body, a language model, and classifiers of rows and of tokens.

Importing this makes them known to the host's Auto classes.
"""

from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)

from hf_strategies.models.recurrent.classifiers import (
    RecurrentForSequenceClassification,
    RecurrentForTokenClassification,
)
from hf_strategies.models.recurrent.config import RecurrentConfig
from hf_strategies.models.recurrent.model import RecurrentForCausalLM, RecurrentModel

AutoConfig.register(RecurrentConfig.model_type, RecurrentConfig, exist_ok=True)
AutoModel.register(RecurrentConfig, RecurrentModel, exist_ok=True)
AutoModelForCausalLM.register(RecurrentConfig, RecurrentForCausalLM, exist_ok=True)
AutoModelForSequenceClassification.register(RecurrentConfig, RecurrentForSequenceClassification, exist_ok=True)
AutoModelForTokenClassification.register(RecurrentConfig, RecurrentForTokenClassification, exist_ok=True)

__all__ = [
    "RecurrentConfig",
    "RecurrentForCausalLM",
    "RecurrentForSequenceClassification",
    "RecurrentForTokenClassification",
    "RecurrentModel",
]
