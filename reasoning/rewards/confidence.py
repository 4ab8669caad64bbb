"""What the policy itself thinks of a response: likelihood, entropy and self-certainty, each a mean over the tokens so far.

    likelihood       exp( mean log p(x_t) )                        in (0, 1]: the inverse of the perplexity
    entropy          exp( − mean H_t )                             in (0, 1]: the inverse of the mean number of choices
    self_certainty   mean KL(uniform ‖ p_t) = − mean_t,v log(V p_t(v))   ≥ 0, in nats

All are of the model's raw distribution, before temperature and penalties. The engine keeps log p of the sampled tokens and no
distributions, so the responses are read once more with a cache of their own, a step at a time, and that is charged; the
likelihood of a finished response is in its record and costs nothing (`judge`).

Source: Kang et al. 2025, "Scalable Best-of-N Selection for Large Language Models via Self-Certainty", arXiv 2502.18581,
equation 8.

Axis legend: `B` rows, `T` new tokens, `D` model, `V` vocabulary.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from reasoning.errors import InputError
from reasoning.models.flops import head_flops
from reasoning.models.model import Model
from reasoning.rewards.base import Cached, Scorer
from reasoning.rewards.prm import flops_of
from reasoning.rewards.responses import Candidate, Judge, Reading, Readings, of_scorer


class Small(NamedTuple):
    """What a row remembers beside its keys and values.

    Attributes:
      position: int32[B], tokens read; the last one is fed again with the next step, whose first token it predicts.
      last: int32[B], that token. total: float32[B], sum over the response's tokens; count: int32[B] of them.
      room: int32[B], positions of the cache.
    """

    position: jax.Array
    last: jax.Array
    total: jax.Array
    count: jax.Array
    room: jax.Array


def _log_p(log_p, token):
    return jnp.take_along_axis(log_p, token[:, None], axis=-1)[:, 0]


# (log p float32[B, V], token int32[B]) → float32[B], of one token; and what the mean becomes.
MEASURES = {
    "likelihood": (_log_p, jnp.exp),
    "entropy": (lambda log_p, token: jnp.sum(jnp.exp(log_p) * log_p, axis=-1), jnp.exp),
    "self_certainty": (lambda log_p, token: -jnp.mean(log_p, axis=-1) - math.log(log_p.shape[-1]), lambda mean: mean),
}


def make(model: Model, measure: str = "self_certainty") -> Scorer:
    """The scorer of a policy by its own distribution; reads the policy's ids.

    Raises InputError for an unknown measure or a model without a language head.
    """
    if measure not in MEASURES:
        raise InputError(f"unknown measure of confidence {measure!r}; choose one of {', '.join(MEASURES)}")
    model.check_generates()
    network, (of_token, finish) = model.network, MEASURES[measure]

    def init(rows: int, length: int) -> Cached:
        position, last, count, room = (jnp.full(rows, value, jnp.int32) for value in (0, 0, 0, length))
        return Cached(network.init_cache(rows, length), Small(position, last, jnp.zeros(rows, jnp.float32), count, room))

    def begin(params, prompt, n, carry):
        small, at = carry.small, jnp.arange(prompt.shape[1])
        positions = jnp.where(at < n[:, None], small.position[:, None] + at, small.room[:, None])
        _, kv = network.forward(params, prompt, positions, carry.kv)
        last = jnp.where(n > 0, _last(prompt, n), small.last)
        return Cached(kv, small._replace(position=small.position + n, last=last))

    def score(params, new, n, ended, carry):
        del ended
        small, at = carry.small, jnp.arange(new.shape[1])
        fed = jnp.concatenate([small.last[:, None], new[:, :-1]], axis=1)
        positions = jnp.where(at < n[:, None], small.position[:, None] - 1 + at, small.room[:, None])
        hidden, kv = network.forward(params, fed, positions, carry.kv)

        def one(column):  # a token of every row at a time, or the logits would be [B, T, V]
            hidden, token, wanted = column

            def read():
                return jnp.where(wanted, of_token(jax.nn.log_softmax(network.head(params, hidden)), token), 0.0)

            return jax.lax.cond(jnp.any(wanted), read, lambda: jnp.zeros(len(token), jnp.float32))  # padding costs no logits

        values = jax.lax.map(one, (hidden.swapaxes(0, 1), new.T, (at < n[:, None]).T))
        total = small.total + jnp.sum(values, axis=0)
        count, position = small.count + n, small.position + n
        last = jnp.where(n > 0, _last(new, n), small.last)
        value = jnp.where(position > small.room, jnp.nan, finish(total / count))  # 0 / 0 before the first token
        return value, Cached(kv, Small(position, last, total, count, small.room))

    flops = flops_of(model, read=head_flops(model.config), every=True)
    return Scorer(measure, model.params, init, begin, score, context=model.config.context, flops=flops)


def scorer(engine, measure: str = "self_certainty") -> Scorer:
    """`make` of the engine's model. Raises InputError."""
    return make(engine.model, measure)


def judge(engine, measure: str = "self_certainty", separator: str = "\n\n", name: str = "") -> Judge:
    """Scores finished responses of the engine's model; `likelihood` reads it off the records, one score a response.

    Raises InputError for an unknown measure.
    """
    if measure == "likelihood":
        return Judge(name or measure, recorded_likelihood)
    return of_scorer(make(engine.model, measure), engine.model.tokenizer, separator=separator, name=name)


def recorded_likelihood(candidates: Sequence[Candidate]) -> Readings:
    """exp of the mean log p of the tokens that a response sampled; 0 where it is not finite or nothing was sampled."""
    for candidate in candidates:
        known = candidate.logprob is not None and candidate.sampled
        yield candidate, Reading((math.exp(candidate.logprob / candidate.sampled) if known else 0.0,))


def _last(tokens: jax.Array, n: jax.Array) -> jax.Array:
    return jax.vmap(lambda row, n: row[jnp.maximum(n, 1) - 1])(tokens, n)
