"""Data on which it is known what to train, and the runs of advice on them."""
