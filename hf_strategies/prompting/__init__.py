"""Prompting: a row as a question, each class as a word, and how likely a model finds that word as the answer."""

from hf_strategies.prompting.demonstrations import draw_demonstrations
from hf_strategies.prompting.label_words import choose_words
from hf_strategies.prompting.templates import PromptTemplate, with_answer

__all__ = ["PromptTemplate", "choose_words", "draw_demonstrations", "with_answer"]
