"""Writes a model in another format: Hugging Face (directory), GGUF (one file) or Orbax (directory), with its tokenizer.

COMMAND: python scripts/convert.py --model smollm2-135m-instruct --to hf --out models/smollm2

Reads what `reasoning.load` reads; nothing that exists is overwritten. A quantised GGUF is dequantised once; writing
quantised types is out of scope (llama.cpp's llama-quantize makes them from a GGUF of ours).
"""

import hashlib
from pathlib import Path

from absl import flags
from tqdm import tqdm

import reasoning
from reasoning import command
from reasoning.errors import InputError
from reasoning.weights import export

MODEL = flags.DEFINE_string("model", None, "what reasoning.load takes: a name of the catalogue, hf:org/name, a path")
TO = flags.DEFINE_enum("to", None, export.FORMATS, "format to write; quantised GGUF types are out of scope")
OUT = flags.DEFINE_string("out", None, "directory to make, or the GGUF file")
DTYPE = flags.DEFINE_enum(
    "dtype", "stored", ["stored", "float32", "bfloat16", "float16"], "of kernels; stored: as they are, bfloat16 if quantised"
)


def main(_) -> None:
    for flag in (MODEL, TO, OUT):
        if not flag.value:
            raise InputError(f"--{flag.name} is needed; --help says what it takes")
    out = Path(OUT.value).expanduser()
    export.check_free(out)  # before minutes of reading
    with tqdm(desc="read", unit="B", unit_scale=True, disable=None) as bar:

        def keep(_, array):  # on the host: no device is needed to move weights
            bar.update(array.nbytes)
            return array

        model = reasoning.load(MODEL.value, DTYPE.value, place=keep)
        total = bar.n
    with tqdm(desc="write", unit="B", unit_scale=True, disable=None, total=total) as bar:
        reasoning.save(model, out, TO.value, progress=bar.update)
    files = sorted(path for path in out.rglob("*") if path.is_file()) if out.is_dir() else [out]
    for file in files:
        if file.suffix in (".safetensors", ".gguf"):
            with file.open("rb") as stream:
                print(f"{hashlib.file_digest(stream, 'sha256').hexdigest()}  {file.stat().st_size:>14,}  {file}")
    print(f"{out}: {TO.value}, {len(files)} files, {sum(file.stat().st_size for file in files):,} bytes, from {model.source}")


if __name__ == "__main__":
    command.run(main)
