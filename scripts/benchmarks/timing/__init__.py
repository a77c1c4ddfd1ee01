"""Clocks of what is timed in this process; they import torch, which --help and a refusal do without."""
