"""The architectures that can be trained from scratch.

A builder takes `vocab_size` and `max_seq_length`, or `image_size` and `num_channels`, and the sizes that its entry
lists; it returns a transformers config. The facts: `objectives` are what it can learn from scratch; `published` are
sizes by name, from papers; `options` are what else can be chosen, each handed to the builder, and `check_options`
refuses those that do not go together; `isolates_documents` says whether documents in one block can be kept apart. The
others say how sizes that nobody gave follow from those that somebody did: `usual_sizes`, and `feed_forward_ratio`,
which may be another for each `activation`;
`depths` are all that there are, and `width_step` is what widths that a number of parameters chooses are multiples of.
"""

from hf_strategies.models import options, published
from hf_strategies.models.decoder_classes import decoder_class
from hf_strategies.models.options import Option
from hf_strategies.ranges import AVERAGE, COUNT, POSITIVE, Rule, is_whole
from hf_strategies.registry import Registry

ARCHITECTURES: Registry = Registry("architecture")

COUNT_OR_NONE: Rule = (lambda value: value is None or COUNT[0](value), f"{COUNT[1]}, or none")
ODD: Rule = (lambda value: is_whole(value) and value >= 3 and value % 2 == 1, "an odd number >= 3")

ARCHITECTURES.add(
    "transformer_pp",
    "hf_strategies.models.presets:transformer_pp",
    summary="Transformer++: pre-norm decoder with RoPE, SwiGLU, RMSNorm, no biases (Llama's layout)",
    paper="https://arxiv.org/abs/2302.13971",
    sizes=("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "intermediate_size"),
    published=published.LLAMA,
    options=options.TRANSFORMER_PP,
    check_options=decoder_class,
    feed_forward_ratio={"silu": 2.6667, "relu2": 4.0},  # 8/3: three matrices of a gated layer cost two of a plain one
    rotary=True,
    objectives=("causal",),
    isolates_documents=True,
)
ARCHITECTURES.add(
    "transformer",
    "hf_strategies.models.presets:transformer",
    summary="the Transformer of 2017 as a decoder: post-norm or pre-norm, sinusoidal or learned positions, ReLU",
    paper="https://arxiv.org/abs/1706.03762",
    sizes=("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"),
    published=published.TRANSFORMER,
    options=options.TRANSFORMER,
    feed_forward_ratio=4.0,
    rotary=False,
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
    options=options.GPT2,
    feed_forward_ratio=4.0,
    rotary=False,
    objectives=("causal",),
    isolates_documents=True,
)
ARCHITECTURES.add(
    "mamba",
    "hf_strategies.models.state_spaces:mamba",
    summary="Mamba: selective state spaces, linear in a row's length; no feed-forward layers",
    paper="https://arxiv.org/abs/2312.00752",
    sizes=("hidden_size", "num_hidden_layers"),
    usual_sizes={"num_hidden_layers": 12},
    published=published.MAMBA,
    options={
        "state_size": Option(16, COUNT, "numbers that a channel remembers"),
        "expand": Option(2, COUNT, "width of a block over hidden_size"),
        "conv_kernel": Option(4, COUNT, "taps of its short convolution"),
    },
    objectives=("causal",),
    isolates_documents=False,
)
ARCHITECTURES.add(
    "mamba2",
    "hf_strategies.models.state_spaces:mamba2",
    summary="Mamba-2: state spaces whose heads decay alike, computed as matrix products",
    paper="https://arxiv.org/abs/2405.21060",
    sizes=("hidden_size", "num_hidden_layers"),
    usual_sizes={"num_hidden_layers": 12},
    published=published.MAMBA,
    options={
        "state_size": Option(128, COUNT, "numbers that a channel remembers"),
        "expand": Option(2, COUNT, "width of a block over hidden_size"),
        "conv_kernel": Option(4, COUNT, "taps of its short convolution"),
        "head_dim": Option(
            None, COUNT_OR_NONE, "channels that decay alike; none takes 64 or the nearest that divides"
        ),
    },
    objectives=("causal",),
    isolates_documents=False,
)
ARCHITECTURES.add(
    "rwkv",
    "hf_strategies.models.rwkv:rwkv",
    summary="RWKV-4: linear attention as a recurrence, squared-ReLU feed-forward, token shift",
    paper="https://arxiv.org/abs/2305.13048",
    sizes=("hidden_size", "num_hidden_layers", "intermediate_size"),
    published=published.RWKV,
    feed_forward_ratio=4.0,
    objectives=("causal",),
    isolates_documents=False,
)
ARCHITECTURES.add(
    "hyena",
    "hf_strategies.models.hyena.preset:hyena",
    summary="Hyena: implicit long convolutions by FFT, and gates, in the place of attention",
    paper="https://arxiv.org/abs/2302.10866",
    sizes=("hidden_size", "num_hidden_layers", "intermediate_size"),
    usual_sizes={"num_hidden_layers": 9},
    published=published.HYENA,
    feed_forward_ratio=2.0,
    options={
        "order": Option(2, COUNT, "long convolutions of a block"),
        "short_kernel_size": Option(3, COUNT, "taps of the convolution on its projections"),
        "filter_size": Option(64, COUNT, "width of the network that computes filters"),
        "filter_features": Option(33, ODD, "what that network knows about a position"),
        "filter_frequency": Option(14.0, POSITIVE, "of its sines at first: high ones make rough filters"),
        "dropout": Option(0.0, AVERAGE, "of embeddings and of what each layer adds"),
    },
    objectives=("causal", "text-classification"),
    isolates_documents=False,
)
ARCHITECTURES.add(
    "lstm",
    "hf_strategies.models.recurrent.preset:lstm",
    summary="LSTM: gated recurrence with a cell that remembers; language model and classifier",
    paper="https://www.bioinf.jku.at/publications/older/2604.pdf",
    sizes=("hidden_size", "num_hidden_layers"),
    usual_sizes={"num_hidden_layers": 2},
    published=published.RECURRENT,
    options=options.RECURRENT,
    objectives=("causal", "text-classification", "token-classification"),
    isolates_documents=False,
)
ARCHITECTURES.add(
    "gru",
    "hf_strategies.models.recurrent.preset:gru",
    summary="GRU: gated recurrence with one state; language model and classifier",
    paper="https://arxiv.org/abs/1406.1078",
    sizes=("hidden_size", "num_hidden_layers"),
    usual_sizes={"num_hidden_layers": 2},
    published=published.RECURRENT,
    options=options.RECURRENT,
    objectives=("causal", "text-classification", "token-classification"),
    isolates_documents=False,
)
ARCHITECTURES.add(
    "bert",
    "hf_strategies.models.presets:bert",
    summary="BERT: post-norm encoder with learned positions, GELU, LayerNorm, biases",
    paper="https://arxiv.org/abs/1810.04805",
    sizes=("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"),
    published=published.BERT,
    options=options.BERT,
    feed_forward_ratio=4.0,
    rotary=False,
    objectives=("masked", "text-classification", "token-classification"),
    isolates_documents=False,
)
ARCHITECTURES.add(
    "modernbert",
    "hf_strategies.models.presets:modernbert",
    summary="ModernBERT: pre-norm encoder with RoPE, gated GELU, LayerNorm, no biases",
    paper="https://arxiv.org/abs/2412.13663",
    sizes=("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"),
    published=published.MODERNBERT,
    options=options.MODERNBERT,
    feed_forward_ratio=2.6667,
    rotary=True,
    objectives=("masked", "text-classification", "token-classification"),
    isolates_documents=False,
)
ARCHITECTURES.add(
    "t5",
    "hf_strategies.models.presets:t5",
    summary="T5: pre-norm encoder and decoder with relative positions, gated GELU, RMSNorm, no biases",
    paper="https://arxiv.org/abs/1910.10683",
    sizes=("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"),
    published=published.T5,
    options=options.T5,
    feed_forward_ratio={"gated-gelu": 2.6667, "relu": 4.0},
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
    options=options.VIT,
    feed_forward_ratio=4.0,
    rotary=False,
    objectives=("image-classification",),
    isolates_documents=False,
)
ARCHITECTURES.add(
    "resnet3d",
    "hf_strategies.models.resnet3d.preset:resnet3d",
    summary="3-D ResNet: residual convolutions over time and space, for clips",
    paper="https://arxiv.org/abs/1711.09577",
    sizes=("hidden_size", "num_hidden_layers"),
    usual_sizes={"hidden_size": 64, "num_hidden_layers": 18},
    published=published.RESNET3D,
    width_step=8,
    depths=(10, 18, 34),
    options=options.RESNET3D,
    objectives=("clip-classification",),
    isolates_documents=False,
)
