"""The texts that settings name."""

from hf_strategies.arguments.parse import Arguments
from hf_strategies.arguments.topics import trains
from hf_strategies.data.sources import TextSource


def text_sources(arguments: Arguments) -> tuple[TextSource, TextSource | None]:
    """Return what a job trains on, and what it validates on; None where a share of the first is held out.

    A job that only evaluates reads its validation text for both.
    """
    data = arguments.data
    only_validation = not (data.train_file or data.dataset_name or trains(arguments.training))
    train_files = data.validation_file if only_validation else data.train_file
    train = TextSource(
        files=tuple(train_files or ()),
        dataset_name=data.dataset_name,
        dataset_config_name=data.dataset_config_name,
        region_bases=data.max_seq_length or TextSource.region_bases,
        validation_records=tuple(name for item in data.validation_records or () for name in item.split(",")),
        text_column=data.text_column,
    )
    if not data.validation_file:
        return train, None
    if only_validation:
        return train, train
    return train, TextSource(files=tuple(data.validation_file), text_column=data.text_column)
