"""From a data set to batches: their order, the place in it, draws keyed by that place, and what breaks on the way."""
