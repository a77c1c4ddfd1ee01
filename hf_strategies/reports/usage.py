"""The code of a model card: how what was trained is loaded and asked."""

from hf_strategies.reports.run_record import AdapterBase, RunRecord

# What the host has no pipeline for, or one that needs what is not saved with clips; and its class.
PIPELESS = {
    "text2text-generation": "AutoModelForSeq2SeqLM",
    "video-classification": "AutoModelForVideoClassification",
}
PICTURES = "AutoModelForImageClassification"  # the pipeline makes three channels of one, and warns of an adapter


def usage(record: RunRecord) -> str:
    """Write Python that loads a model and, where there is a sample to ask it about, asks."""
    tag, base, place = record.pipeline_tag, record.adapter_base, record.location
    prompt = record.samples[-1]["samples"][0]["prompt"] if record.samples else "Once upon a time"
    shows_pictures = tag == "image-classification" and (record.is_grey or base is not None)
    pipeless = PICTURES if shows_pictures else PIPELESS.get(tag)
    classes = [base.loader] if base else [pipeless] if pipeless else []
    model = f"PeftModel.from_pretrained(base, {place!r})" if base else repr(place)
    lines = [f"base = {_load(base)}"] if base else []
    if pipeless is None:
        classes.append("pipeline")
        tokenizer = f", tokenizer={place!r}" if base else ""
        lines.append(f"model = pipeline({tag!r}, {model}{tokenizer})")
    else:
        lines.append(f"model = {model if base else f'{classes[0]}.from_pretrained({model})'}")
    if tag == "text-generation":
        lines.append(f'print(model({prompt!r}, max_new_tokens=64)[0]["generated_text"])')
    if tag == "fill-mask" and record.samples:
        lines.append(f"print(model({prompt!r}))")
    if tag == "text2text-generation":
        classes.append("AutoTokenizer")
        lines += [
            f"tokenizer = AutoTokenizer.from_pretrained({place!r})",
            f'written = model.generate(**tokenizer({prompt!r}, return_tensors="pt"), max_new_tokens=64)',
            "print(tokenizer.decode(written[0]))",
        ]
    if shows_pictures:
        classes.append("AutoImageProcessor")
        mode = "L" if record.is_grey else "RGB"
        lines += [
            f"processor = AutoImageProcessor.from_pretrained({place!r})",
            f'image = processor(Image.open("image.png").convert({mode!r}), return_tensors="pt")',
            "print(model.config.id2label[model(**image).logits.argmax().item()])",
        ]
    ours = [f"import {record.package}  # the class of this model: pip install hf_strategies"] if record.package else []
    others = [
        *(["from peft import PeftModel"] if base else []),
        *(["from PIL import Image"] if shows_pictures else []),
    ]
    imports = [*others, f"from transformers import {', '.join(classes)}"]
    return "\n".join([*imports, *(["", *ours] if ours else []), "", *lines])


def _load(base: AdapterBase) -> str:
    """Write how an adapter's base is loaded, what it must be told a line each."""
    if not base.options:
        return f"{base.loader}.from_pretrained({base.name!r})"
    told = "".join(f"    {name}={value!r},\n" for name, value in base.options.items())
    return f"{base.loader}.from_pretrained(\n    {base.name!r},\n{told})"
