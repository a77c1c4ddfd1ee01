"""Splitting a causal language model into stages that train as one pipeline, without editing its classes."""
