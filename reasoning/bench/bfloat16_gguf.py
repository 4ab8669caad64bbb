"""A GGUF file with the same metadata and all matrices in bfloat16, so that llama.cpp runs the very weights that we run.

Vectors (norms, biases) are float32, as llama.cpp's own converter leaves them, and as ours are.
"""

import os
from pathlib import Path

import gguf

from reasoning.weights.gguf import GgufFile

_SKIPPED = ("GGUF.", "general.architecture", "general.file_type", "general.quantization_version")


def bfloat16_copy(source: Path, target: Path) -> Path:
    """Writes `target` from `source` unless it exists; it appears complete, by one rename."""
    if target.exists():
        return target
    tensors, reader = GgufFile(source), gguf.GGUFReader(source)
    partial = target.with_suffix(f".{os.getpid()}.partial")
    target.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(partial, tensors.metadata["general.architecture"])
    for name, field in reader.fields.items():
        if not name.startswith(_SKIPPED):
            inner = field.types[1] if len(field.types) > 1 else None
            writer.add_key_value(name, tensors.metadata[name], field.types[0], sub_type=inner)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)
    for name, shape in tensors.shapes.items():
        array = tensors.read(name)
        if len(shape) < 2:
            writer.add_tensor(name, array)
            continue
        kind = gguf.GGMLQuantizationType.BF16
        writer.add_tensor(name, gguf.quants.quantize(array, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    partial.replace(target)
    return target
