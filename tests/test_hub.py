"""`load("hf:…")` through huggingface_hub's own client, against a server on this machine with the hub's addresses."""

import json

import jax
import numpy as np
import pytest
from doubles import fake_sources, vocabulary, weight_files

import reasoning
from reasoning.errors import InputError
from reasoning.models.model import Model
from reasoning.models.transformer import abstract_params
from reasoning.weights import hf_config, hub

REPO = "org/name"


def files_of(path, seed, shard_bytes=40_000):
    """(model, its files) in shards: two revisions of one repository differ in their weights alone."""
    config = hf_config.from_dict(weight_files.config("llama", vocab_size=vocabulary.SIZE))
    rng = np.random.default_rng(seed)
    params = jax.tree.map(lambda spec: rng.normal(size=spec.shape).astype(spec.dtype), abstract_params(config))
    model = Model(config, params, vocabulary.tokenizer())
    reasoning.save(model, path, shard_bytes=shard_bytes)
    return model, {file.name: file.read_bytes() for file in path.iterdir()}


@pytest.fixture(scope="module")
def versions(tmp_path_factory):
    folder = tmp_path_factory.mktemp("versions")
    return files_of(folder / "main", 0), files_of(folder / "v2", 1)


@pytest.fixture
def serve(tmp_path, monkeypatch):
    """A hub that is this process's own, with an empty cache, no token and no question asked before."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    with_server = []

    def start(files, **options):
        server = fake_sources.hub(REPO, files, **options)
        endpoint, asked = server.__enter__()
        with_server.append(server)
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        return asked

    yield start
    for server in with_server:
        server.__exit__(None, None, None)
    hub._trouble.cache_clear()


def same(a, b):
    return all(jax.tree.leaves(jax.tree.map(lambda x, y: np.array_equal(x, y), a.params, b.params)))


def fetched(asked):
    """Names of the files whose content was asked for, in order."""
    return [path.rsplit("/", 1)[1] for method, path in asked if method == "GET" and "/resolve/" in path]


def refusal(name):
    with pytest.raises(InputError) as error:
        reasoning.load(name, "float32")
    assert "\n" not in str(error.value)
    return str(error.value)


def test_shards_of_a_hub_model_are_not_all_fetched(versions, serve):
    (model, files), _ = versions
    assert len(json.loads(files["model.safetensors.index.json"])["weight_map"]) > len([f for f in files if "-of-" in f]) > 1
    asked = serve({**files, "pytorch_model.bin": b"not for us"})
    loaded = reasoning.load(f"hf:{REPO}", "float32")
    assert same(loaded, model) and loaded.source == f"hf:{REPO}@main (F32)"
    assert loaded.tokenizer.encode("hi <think>") == model.tokenizer.encode("hi <think>")
    assert sorted(fetched(asked)) == sorted(files)


def test_another_revision_gives_the_weights_of_main(versions, serve):
    (first, main), (second, v2) = versions
    asked = serve(main, revisions={"v2": v2})
    assert same(reasoning.load(f"hf:{REPO}@v2", "float32"), second)
    assert same(reasoning.load(f"hf:{REPO}", "float32"), first)
    asked.clear()
    assert same(reasoning.load(f"hf:{REPO}@{fake_sources.commit_of('v2')}", "float32"), second)
    assert fetched(asked) == []  # the commit of a branch that is here already


def test_connection_cut_in_a_shard_restarts_it_or_leaves_half(versions, serve, tmp_path, monkeypatch):
    """The client goes on at its last complete block, of 10 MB unless told otherwise."""
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 4096)
    (model, files), _ = versions
    shard = min(name for name in files if "-of-" in name)
    asked = serve(files, once={shard: "cut"})
    assert same(reasoning.load(f"hf:{REPO}", "float32"), model)
    ranges = [request.headers.get("range") for request in asked if request[0] == "GET" and request[1].endswith(shard)]
    assert ranges == [None, f"bytes={len(files[shard]) // 2 // 4096 * 4096}-"]
    assert not list((tmp_path / "hub").rglob("*.incomplete"))


def test_failed_download_starts_again_with_the_first_file(versions, serve):
    (model, files), _ = versions
    shard = max(name for name in files if "-of-" in name)
    asked = serve(files, once={shard: 500})
    assert "cannot be fetched" in (said := refusal(f"hf:{REPO}")) and "try again: what is complete is kept" in said
    had = set(fetched(asked)) - {shard}
    asked.clear()
    assert same(reasoning.load(f"hf:{REPO}", "float32"), model)
    assert shard in fetched(asked) and not had & set(fetched(asked))


def test_unknown_repository_or_revision_gives_a_page_of_html(versions, serve):
    serve(versions[0][1])
    assert "hf:org/other@main is no model of http" in (said := refusal("hf:org/other")) and "HF_TOKEN" in said
    assert f"hf:{REPO}@v9 has no revision 'v9'; name a branch, tag or commit" in refusal(f"hf:{REPO}@v9")


def test_gated_model_does_not_say_how_to_get_access(versions, serve, monkeypatch):
    (model, files), _ = versions
    asked = serve(files, token="hf_secret")
    said = refusal(f"hf:{REPO}")
    assert "is gated" in said and f"/{REPO} and set HF_TOKEN" in said and "request access" in said and "none is set" in said
    monkeypatch.setenv("HF_TOKEN", "hf_of_somebody_else")
    assert "the one in HF_TOKEN has none" in (said := refusal(f"hf:{REPO}")) and "somebody" not in said
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    asked.clear()
    assert same(reasoning.load(f"hf:{REPO}", "float32"), model)
    assert {request.headers.get("authorization") for request in asked} == {"Bearer hf_secret"}
