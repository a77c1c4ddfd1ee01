"""Reasons to stop or to save that come from outside: signals, files, deadlines, and a run that hangs."""
