"""The tasks that a checkpoint can be fine-tuned to.

A builder takes `TaskSettings`. The facts: `pipeline` is the task as the Hub names it, and `adapters` as peft does.
"""

from hf_strategies.registry import Registry

TASKS: Registry = Registry("task")

TASKS.add(
    "text-classification",
    "hf_strategies.tasks.text_classification:TextClassification",
    summary="a text or a pair of texts: its class, several labels, or a number",
    pipeline="text-classification",
    adapters="SEQ_CLS",
)
TASKS.add(
    "token-classification",
    "hf_strategies.tasks.token_classification:TokenClassification",
    summary="a list of words: a tag for each, scored by whole entities",
    pipeline="token-classification",
    adapters="TOKEN_CLS",
)
TASKS.add(
    "seq2seq",
    "hf_strategies.tasks.seq2seq:Seq2Seq",
    summary="a text: another text, by an encoder-decoder (translation, summarisation)",
    pipeline="text2text-generation",
    adapters="SEQ_2_SEQ_LM",
)
TASKS.add(
    "causal-lm",
    "hf_strategies.tasks.causal_lm:CausalLM",
    summary="instructions, prompts or conversations: the answer, packed into full rows",
    pipeline="text-generation",
    adapters="CAUSAL_LM",
)
TASKS.add(
    "image-classification",
    "hf_strategies.tasks.image_classification:ImageClassification",
    summary="an image: its class; without data of one's own, handwritten digits",
    pipeline="image-classification",
    adapters=None,
)
TASKS.add(
    "clip-classification",
    "hf_strategies.tasks.clip_classification:ClipClassification",
    summary="a clip, [channels, frames, height, width] in a .npz: its class",
    pipeline="video-classification",
    adapters=None,
)
