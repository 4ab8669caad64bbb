"""Open weights: the catalogue of artefacts, safetensors and GGUF readers, and the tables of names."""
