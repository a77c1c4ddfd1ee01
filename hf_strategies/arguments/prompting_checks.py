"""What can be wrong with the settings of scoring prompts, found before torch is imported."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hf_strategies.arguments.merging import Value

FINISHED = "all_results.json"


def prompting_problems(values: dict[str, Value]) -> Iterator[str]:
    """Yield one line per mistake, each with where it stands."""

    def get(name: str) -> Any:
        return values[name].value if name in values else None

    if not get("prompt_template"):
        yield "prompt_template: name the wording of a prompt, such as '{text} Answer:'"
    for name, word in (get("label_words") or {}).items():
        if isinstance(word, bool):  # YAML 1.1 reads yes and no as truth values
            yield f"{values['label_words'].where}: the word of {name} was read as {word}: quote it, {name}='yes'"
        elif isinstance(word, dict | list) or word is None:
            yield f"{values['label_words'].where}: expected a word for {name}, got {word!r}"
    for folder in get("compare") or ():
        if not (Path(folder) / FINISHED).is_file():
            yield f"{values['compare'].where}: {folder} holds no finished run ({FINISHED} is not there)"
