"""How runs of fine-tuning are described, made and reported, part by part."""
