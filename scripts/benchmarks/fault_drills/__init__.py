"""Faults done to real runs, one module per kind; each drill says whether the run came through, and if not, how."""
