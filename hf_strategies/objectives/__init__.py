"""outputs -> loss."""
