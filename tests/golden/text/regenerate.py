"""Writes the golden files of this directory from their witnesses. Run on purpose, and read the difference.

COMMAND (an environment with the extra `parity`: transformers, llama-cpp-python):
    python tests/golden/text/regenerate.py --smollm2 smollm2-135m-instruct.gguf --qwen05 qwen2.5-coder-0.5b-instruct.gguf \\
        --gemma3 gemma3-270m.Q4_K_M.gguf

smollm2.json, qwen05.json: ids on which two witnesses agree, llama.cpp's tokeniser and the pipeline of the published
tokenizer.json built from transformers' own parts. llama.cpp sees NFC-normalised text where the model demands it.

gemma3.json: llama.cpp's ids of the 10,000 strings of strings.py, which is the witness for SentencePiece pieces: a digest for
every 100 strings, and some strings with their ids to read.

crossing.json: a small vocabulary whose merges ignore every boundary, so that its ids show where each pre-tokeniser cuts;
ids by llama.cpp, for each name whose pattern llama.cpp has verbatim.

chat.json: templates, conversations and what transformers' `apply_chat_template` makes of them.
"""

import argparse
import json
import random
import sys
import tempfile
import unicodedata
from pathlib import Path

import gguf
import llama_cpp
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast
from transformers.models.qwen2.tokenization_qwen2 import Qwen2Tokenizer

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
import strings  # noqa: E402
from chat_templates import CASES, CONVERSATIONS, TEMPLATES  # noqa: E402

TEXTS = [
    "Hello world", " Hello", "  leading", "trailing  ", "a\tb\t\tc", "\n\n\n", "x\r\ny\r\n\r\n z", "   \n  \n x", " ", "",
    "12345 67 8.9", "1,234,567", "12 + 30 = 42; 42 - 17 = 25", " 7", "  12", "x1y22z333", "١٢٣ ४५६ ½ ² Ⅷ 𝟘𝟙",
    "I'm don't WE'LL They'Re 'S 's ''", "def f(x):\n    return x**2  # c\n\n\treturn", "http://x.y/z?a=b&c=d#e",
    "日本語テキスト 漢字かな", "한국어 텍스트", "Привет, мир!", "مرحبا بالعالم", "हिन्दी पाठ", "ελληνικά", "ไทย", "ﬁ ﬂ",
    "😀😃👨‍👩‍👧‍👦🏳️‍🌈", "e\u0301 vs é", "\u1100\u1161\u11a8", "a\u0300\u0301\u0302", "\u00c5\u212b", "\u00a0\u2003\u3000 x",
    "\u200b\u200d\ufeff", "\u2028\u2029\x85", "\x00\x01\x1f\x7f", "\U000f0000\U0010ffff", "∑∫√π≠≤", "…—–“”",
    "<|im_start|>user\nhi<|im_end|>\n", "<|endoftext|><|endoftext|>", " <|im_end|> ", "<|im_start", "<tool_call>{}</tool_call>",
    "\\boxed{\\frac{1}{2}}", "Final Answer: $1{,}050$.", "<think>\nWait", "[PAD151665]", "price: $5.00!!!", "a" * 70, "=" * 70,
]  # fmt: skip
# Names whose pattern llama.cpp has as published; for "tekken" and "gpt-4o" it has an approximation.
PRE_TOKENIZERS = ["default", "gpt-2", "smollm", "llama-bpe", "dbrx", "qwen2", "qwen35"]
ALPHABETS = [
    "0123456789 .,",
    " \t\n\r\u00a0",
    "abcXYZ '",
    "'sSrReE",
    "é\u0301ñçßøÅ",
    "日本語한국",
    "😀👨\u200d️",
    "$%&()*+-/<=>",
    "Жмиλπ",
]


def texts() -> list[str]:
    """The fixed texts and 60 random mixtures."""
    rng = random.Random(0)
    mixed = [
        "".join(rng.choice(rng.choice(pools)) for _ in range(rng.randint(1, 16)))
        for pools in (rng.sample(ALPHABETS, rng.choice((1, 2, 3))) for _ in range(60))
    ]
    return TEXTS + mixed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smollm2", required=True, help="GGUF file of SmolLM2-135M-Instruct")
    parser.add_argument("--qwen05", required=True, help="GGUF file of Qwen2.5-Coder-0.5B-Instruct")
    parser.add_argument("--gemma3", required=True, help="GGUF file of Gemma 3 270M")
    flags = parser.parse_args()
    own_templates = {}
    for name in ("smollm2", "qwen05"):
        path = getattr(flags, name)
        fields = {key: field.contents() for key, field in gguf.GGUFReader(path).fields.items() if key.startswith("tokenizer.")}
        own_templates[name] = fields["tokenizer.chat_template"]
        write(f"{name}.json", model_cases(fields, llama(path)))
    write("gemma3.json", block_digests(llama(flags.gemma3)))
    write_crossing()
    write_chat(own_templates)


def llama(path: str) -> llama_cpp.Llama:
    return llama_cpp.Llama(model_path=str(path), vocab_only=True, verbose=False)


def model_cases(fields: dict, witness: llama_cpp.Llama) -> list[dict]:
    """Texts and ids. Raises AssertionError where the witnesses differ."""
    rows = list(enumerate(zip(fields["tokenizer.ggml.tokens"], fields["tokenizer.ggml.token_type"], strict=True)))
    vocabulary = {token: i for i, (token, kind) in rows if kind != 5}
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"]]
    composes = fields["tokenizer.ggml.pre"] == "qwen2"
    if composes:
        pipeline = Qwen2Tokenizer(vocab=vocabulary, merges=merges).backend_tokenizer
    else:
        pipeline = Tokenizer(models.BPE(vocabulary, merges))
        digits = pre_tokenizers.Digits(individual_digits=True)
        pipeline.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    pipeline.add_tokens([AddedToken(token, normalized=False) for _, (token, kind) in rows if kind in (3, 4)])
    cases = []
    for text in texts():
        ids = pipeline.encode(text, add_special_tokens=False).ids
        seen = unicodedata.normalize("NFC", text) if composes else text
        assert ids == witness.tokenize(seen.encode(), add_bos=False, special=True), text
        cases.append({"text": text, "ids": ids})
    return cases


def block_digests(witness: llama_cpp.Llama) -> dict:
    """The witness's ids of 10,000 strings: every 211th in full, the rest as digests. Special tokens are read, none is added."""
    texts = strings.strings()
    ids = [witness.tokenize(text.encode(), add_bos=False, special=True) for text in texts]
    sample = [[i, ids[i]] for i in range(0, strings.COUNT, 211)]
    starts = range(0, strings.COUNT, strings.BLOCK)
    return {"sample": sample, "digests": [strings.digest(ids[i : i + strings.BLOCK]) for i in starts]}


def write_crossing() -> None:
    plain = [text for text in texts() if "<|" not in text]  # llama.cpp takes such texts for control tokens
    pipeline = Tokenizer(models.BPE())
    pipeline.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    pipeline.train_from_iterator(plain, trainers.BpeTrainer(vocab_size=700, initial_alphabet=alphabet, show_progress=False))
    model = json.loads(pipeline.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    merges = [" ".join(pair) for pair in model["merges"]]
    ids = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in PRE_TOKENIZERS:
            witness = llama(vocabulary_file(Path(folder) / f"{name}.gguf", name, tokens, merges))
            ids[name] = [witness.tokenize(text.encode(), add_bos=False, special=True) for text in plain]
    write("crossing.json", {"tokens": tokens, "merges": merges, "texts": plain, "ids": ids})


def vocabulary_file(path: Path, pre: str, tokens: list[str], merges: list[str]) -> Path:
    """A GGUF file with a vocabulary and no tensors."""
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([1] * len(tokens))
    writer.add_token_merges(merges)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_chat(own_templates: dict[str, str]) -> None:
    cases = []
    for template, conversation, ask, extra in CASES:
        source, special = (own_templates[template], {}) if template in own_templates else TEMPLATES[template]
        nothing = Tokenizer(models.BPE({"a": 0}, []))
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=nothing, chat_template=source, **special)
        case = {"template": template, "conversation": conversation, "add_generation_prompt": ask, "extra": extra}
        try:
            messages = CONVERSATIONS[conversation]
            case["text"] = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=ask, **extra)
        except Exception as error:
            case["error"] = str(error)
        cases.append(case)
    templates = {name: {"source": source, "special_tokens": special} for name, (source, special) in TEMPLATES.items()}
    write("chat.json", {"templates": templates, "conversations": CONVERSATIONS, "cases": cases})


def write(name: str, value: list | dict) -> None:
    """JSON, one entry of the outermost lists and objects a line."""
    parts = [f"{json.dumps(key)}: {listed(entry)}" for key, entry in value.items()] if isinstance(value, dict) else []
    text = "{\n" + ",\n".join(parts) + "\n}" if parts else listed(value)
    (HERE / name).write_text(text + "\n", encoding="utf-8")
    print(f"{name}: {len(text)} bytes")


def listed(value: list | dict) -> str:
    if isinstance(value, dict):
        return "{\n" + ",\n".join(f"{json.dumps(key)}: {json.dumps(entry)}" for key, entry in value.items()) + "\n}"
    if isinstance(value[0], str):
        return json.dumps(value)
    return "[\n" + ",\n".join(json.dumps(entry) for entry in value) + "\n]"


if __name__ == "__main__":
    main()
