"""The architectures that can be trained from scratch.

A builder takes `vocab_size` and `max_seq_length`, or `image_size` and `num_channels`, and the sizes that its entry
lists; it returns a transformers config. The facts: `objectives` are what it can learn from scratch; `published` are
sizes by name, from papers; `options` are what else can be chosen, each handed to the builder, and `check_options`
refuses those that do not go together; `isolates_documents` says whether documents in one block can be kept apart. The
others say how sizes that nobody gave follow from those that somebody did: `feed_forward_ratio` and `usual_sizes`;
`width_step` and `depths` are the widths and depths that a number of parameters may choose from.
"""

from hf_strategies.models import published
from hf_strategies.registry import Registry

ARCHITECTURES: Registry = Registry("architecture")

ARCHITECTURES.add(
    "transformer_pp",
    "hf_strategies.models.presets:transformer_pp",
    summary="Transformer++: pre-norm decoder with RoPE, SwiGLU, RMSNorm, no biases (Llama's layout)",
    paper="https://arxiv.org/abs/2302.13971",
    sizes=("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "intermediate_size"),
    published=published.LLAMA,
    feed_forward_ratio=2.6667,  # 8/3: three matrices of a gated layer cost what two of a plain 4x one do
    rotary=True,
    objectives=("causal",),
    isolates_documents=True,
)
ARCHITECTURES.add(
    "gpt2",
    "hf_strategies.models.presets:gpt2",
    summary="GPT-2: pre-norm decoder with learned positions, GELU, LayerNorm, biases",
    paper="https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf",
    sizes=("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"),
    published=published.GPT3,
    feed_forward_ratio=4.0,
    rotary=False,
    objectives=("causal",),
    isolates_documents=True,
)
ARCHITECTURES.add(
    "bert",
    "hf_strategies.models.presets:bert",
    summary="BERT: post-norm encoder with learned positions, GELU, LayerNorm, biases",
    paper="https://arxiv.org/abs/1810.04805",
    sizes=("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"),
    published=published.BERT,
    feed_forward_ratio=4.0,
    rotary=False,
    objectives=("masked",),
    isolates_documents=False,
)
ARCHITECTURES.add(
    "t5",
    "hf_strategies.models.presets:t5",
    summary="T5: pre-norm encoder and decoder with relative positions, gated GELU, RMSNorm, no biases",
    paper="https://arxiv.org/abs/1910.10683",
    sizes=("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"),
    published=published.T5,
    feed_forward_ratio=2.6667,
    rotary=False,
    objectives=("span",),
    isolates_documents=False,
)
ARCHITECTURES.add(
    "vit",
    "hf_strategies.models.presets:vit",
    summary="ViT: pre-norm encoder of image patches with learned positions, GELU, LayerNorm, biases",
    paper="https://arxiv.org/abs/2010.11929",
    sizes=("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "patch_size"),
    published=published.VIT,
    feed_forward_ratio=4.0,
    rotary=False,
    objectives=("image-classification",),
    isolates_documents=False,
)
