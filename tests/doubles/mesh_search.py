"""`python -m doubles.mesh_search TENSOR`: searches of a tiny decoder on a mesh (0: on the default device); prints JSON.

{search: {request/sample: [tokens, scores]}}; the reward model is another tiny decoder, which lies on the mesh ("lookahead") or
was loaded without one ("apart"); "likelihood" has none.
"""

import json
import sys

from doubles.mesh_run import SHAPE, random_params
from doubles.tokenizer import ByteTokenizer
from reasoning.decode.base import Chain
from reasoning.decode.controllers import stop_ids
from reasoning.decode.engine import Engine
from reasoning.decode.requests import Request
from reasoning.decode.steps import step_ends
from reasoning.decode.transforms import temperature
from reasoning.models.model import Model
from reasoning.rewards import prm
from reasoning.search.beam import Beam
from reasoning.search.driver import Searching
from reasoning.search.dvts import Dvts
from reasoning.sharding import make_mesh
from reasoning.train.prm import with_score_head

CHAIN = Chain((temperature(),), (stop_ids(), step_ends()))
REQUESTS = [Request(id=f"p{i}", prompt="words " * i, n=4) for i in range(1, 4)]
KNOBS = {"temperature": 1.0, "stop": [], "step_tokens": 4, "max_tokens": 16}


def main(tensor: int) -> dict:
    model = Model(SHAPE, random_params(SHAPE, seed=9), ByteTokenizer(), "tiny")
    critic = with_score_head(Model(SHAPE, random_params(SHAPE, seed=5), ByteTokenizer(), "critic"), 1, 0)
    mesh = make_mesh(1, tensor) if tensor else None
    engine = Engine(model, max_slots=8, mesh=mesh)
    near = prm.make(critic if mesh is None else critic.on(mesh), "own", policy=engine.model)
    far = prm.make(critic, "own", policy=engine.model)
    searches = {
        "lookahead": (Beam(beam_width=2, rollout=1), near),
        "apart": (Dvts(beam_width=2), far),
        "likelihood": (Beam(beam_width=2), None),
    }
    found = {}
    for name, (search, scorer) in searches.items():
        group = Searching(search, 4, step_tokens=4, rounds=4, scorer=scorer)
        responses = engine.generate(REQUESTS, chain=CHAIN, group=group, **KNOBS)
        found[name] = {f"{r.id}/{r.sample}": [r.tokens.tolist(), r.scores.tolist()] for r in responses}
    return found


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]))))
