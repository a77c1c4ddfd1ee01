"""The colours of every picture, told apart also by readers who do not see red and green."""

LIGHT = {
    "paper": "#ffffff",
    "panel": "#f6f7f9",
    "ink": "#1b1f24",
    "muted": "#5b6470",
    "line": "#dfe3e8",
    "train": "#2563b0",
    "eval": "#d4601c",
    "rate": "#1a7f5a",
    "norm": "#7a4fb5",
    "speed": "#4a6478",
}

DARK = {
    "paper": "#14171b",
    "panel": "#1d2127",
    "ink": "#e8eaed",
    "muted": "#9aa4b0",
    "line": "#323840",
    "train": "#6ea8f0",
    "eval": "#f29a5f",
    "rate": "#56c596",
    "norm": "#b794f0",
    "speed": "#9fb8ca",
}
