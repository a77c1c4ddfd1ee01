"""The architectures that can be trained from scratch.

A builder takes `vocab_size`, `max_seq_length` and the sizes that its entry lists, and returns a transformers config.
The facts say how sizes that nobody gave follow from those that somebody did.
"""

from hf_strategies.registry import Registry

ARCHITECTURES: Registry = Registry("architecture")

ARCHITECTURES.add(
    "transformer_pp",
    "hf_strategies.models.presets:transformer_pp",
    summary="Transformer++: pre-norm decoder with RoPE, SwiGLU, RMSNorm, no biases (Llama's layout)",
    paper="https://arxiv.org/abs/2302.13971",
    sizes=("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "intermediate_size"),
    feed_forward_ratio=2.6667,  # 8/3: three matrices of a gated layer cost what two of a plain 4x one do
    rotary=True,
    isolates_documents=True,
)
ARCHITECTURES.add(
    "gpt2",
    "hf_strategies.models.presets:gpt2",
    summary="GPT-2: pre-norm decoder with learned positions, GELU, LayerNorm, biases",
    paper="https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf",
    sizes=("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"),
    feed_forward_ratio=4.0,
    rotary=False,
    isolates_documents=True,
)
