"""Hyena (Poli et al. 2023), which the host does not have: long convolutions in the place of attention.

Importing this makes it known to the host's Auto classes.
"""

from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForSequenceClassification

from hf_strategies.models.hyena.config import HyenaConfig
from hf_strategies.models.hyena.model import HyenaForCausalLM, HyenaForSequenceClassification, HyenaModel

AutoConfig.register("hyena", HyenaConfig, exist_ok=True)
AutoModel.register(HyenaConfig, HyenaModel, exist_ok=True)
AutoModelForCausalLM.register(HyenaConfig, HyenaForCausalLM, exist_ok=True)
AutoModelForSequenceClassification.register(HyenaConfig, HyenaForSequenceClassification, exist_ok=True)

__all__ = ["HyenaConfig", "HyenaForCausalLM", "HyenaForSequenceClassification", "HyenaModel"]
