"""The persistent compilation cache: a second start of the same work compiles nothing.

It lives under `$REASONING_CACHE` (default `~/.cache/reasoning`), in `xla/`. The directory is trusted code: whoever can
write there can change what runs.
"""

import jax

from reasoning.home import cache_dir

_counts = {"/jax/compilation_cache/cache_hits": 0, "/jax/compilation_cache/cache_misses": 0}
_STAGES = ("jaxpr_trace", "jaxpr_to_mlir_module", "backend_compile")
_spent = {f"/jax/core/compile/{stage}_duration": 0.0 for stage in _STAGES}


def _count(event: str, **kwargs) -> None:
    if event in _counts:
        _counts[event] += 1


def _spend(event: str, duration: float, **kwargs) -> None:
    if event in _spent:
        _spent[event] += duration


def enable() -> None:
    """Turns the cache on, unless JAX_COMPILATION_CACHE_DIR or the program has already chosen one."""
    if jax.config.jax_compilation_cache_dir is None:
        jax.config.update("jax_compilation_cache_dir", str(cache_dir() / "xla"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def misses() -> int:
    """Programs compiled by this process because the cache did not hold them."""
    return _counts["/jax/compilation_cache/cache_misses"]


def hits() -> int:
    """Programs that this process took from the cache."""
    return _counts["/jax/compilation_cache/cache_hits"]


def seconds() -> float:
    """Spent by this process on tracing, lowering and compiling, and on reading compiled programs from the cache, so far."""
    return sum(_spent.values())


jax.monitoring.register_event_listener(_count)
jax.monitoring.register_event_duration_secs_listener(_spend)
