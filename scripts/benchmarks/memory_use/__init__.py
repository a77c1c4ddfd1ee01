"""Processes that train a little, and say what memory that took."""
