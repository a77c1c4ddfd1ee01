"""Benchmarks made of training runs: every run a process of scripts/pretrain.py, every finished one a row on disk."""
