"""The Transformer of 2017 (Vaswani et al.) as a decoder, on the layers of the host's OPT.

Importing this makes it known to the host's Auto classes.
"""

from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

from hf_strategies.models.transformer.config import TransformerConfig
from hf_strategies.models.transformer.model import TransformerForCausalLM, TransformerModel

AutoConfig.register(TransformerConfig.model_type, TransformerConfig, exist_ok=True)
AutoModel.register(TransformerConfig, TransformerModel, exist_ok=True)
AutoModelForCausalLM.register(TransformerConfig, TransformerForCausalLM, exist_ok=True)

__all__ = ["TransformerConfig", "TransformerForCausalLM", "TransformerModel"]
