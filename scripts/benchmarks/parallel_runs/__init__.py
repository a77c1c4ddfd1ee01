"""What the benchmark of parallel runs is made of."""
