"""Before a run: what to look at, and what to try, before the time is spent."""
