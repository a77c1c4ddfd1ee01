"""The text that a sweep's trials read: found before any of them starts, and known by its content, not by its name."""

from collections.abc import Iterable

from hf_strategies.arguments import Arguments
from hf_strategies.arguments.texts import text_sources
from hf_strategies.data.cache import digest
from hf_strategies.data.mixture_request import parse_mixture
from hf_strategies.data.sources import FileDocuments, TextSource, find_documents


def existing_sources(arguments: Arguments) -> list[TextSource]:
    """List what a job trains and evaluates on.

    Raises:
        UserError: A file that it names is not there, or cannot be read; data sets are not looked for.
    """
    named = [text_sources(arguments)]
    if arguments.data.mixture:
        named = [(source.train, source.validation) for source in parse_mixture(arguments.data.mixture)]
    sources = [source for sides in named for source in sides if source is not None]
    for source in sources:
        if source.files:
            FileDocuments(source.files, source.text_column)
    return sources


def digest_texts(sources: Iterable[TextSource]) -> dict[str, str]:
    """Hash what sources hold, by the words that name them.

    Cost: reads all of it, large files only where they have changed since; loads data sets.

    Raises:
        UserError: A source is not there, or cannot be read.
    """
    digests = {}
    for source in sources:
        sides = [side for side in find_documents(source) if side is not None]
        digests[_name(source)] = digest(side.identity() for side in sides)
    return digests


def _name(source: TextSource) -> str:
    parts = source.files or [part for part in (source.dataset_name, source.dataset_config_name) if part]
    return " ".join(parts) or "the embedded corpus"
