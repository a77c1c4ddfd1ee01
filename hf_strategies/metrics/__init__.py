"""predictions -> score."""
