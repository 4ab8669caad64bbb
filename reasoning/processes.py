"""The processes of one run under `jax.distributed`: whether there are several, which one this is, and its share of the work.

JAX knows SLURM, Open MPI, GKE and Cloud TPU by itself; explicit numbers serve everywhere else. Nothing here happens, and
nothing waits, where there is one process. A process computes on its own devices: JAX puts what is not placed on a local one.
"""

import atexit
import dataclasses
import os
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import jax

from reasoning.errors import InputError

MODES = ("auto", "on", "off")
PATIENCE = 300  # seconds until all processes must have shown up
T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Processes:
    """Process `index` of `count`."""

    index: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that makes what there is one of: plan, merged files, report, progress bar."""
        return self.index == 0

    def share(self, items: Iterable[T]) -> list[T]:
        """Every `count`-th item from `index` on: the shares of all processes are disjoint and make up the whole."""
        return list(items)[self.index :: self.count]


ALONE = Processes()


def start(
    mode: str = "auto",
    address: str | None = None,
    count: int | None = None,
    index: int | None = None,
    patience: int = PATIENCE,
) -> Processes:
    """Starts `jax.distributed` if this process is one of several. To be called before anything that starts JAX's backend.

    Args:
      mode: "auto" looks for a launcher's word in the environment, see `launched`; "on" lets JAX find its cluster (needed on
        Cloud TPU VMs, which say nothing in the environment); "off" is one process.
      address, count, index: host:port of process 0, number of processes, number of this one; all or none.
      patience: seconds to wait for the other processes. Then a line on standard error, and exit status 2.
    Raises:
      InputError: contradictory arguments, no cluster, a port in use, processes with different devices.
    """
    given = {"coordinator_address": address, "num_processes": count, "process_id": index}
    explicit = any(value is not None for value in given.values())
    if explicit:
        _check_given(mode, given)
    elif mode == "off" or (mode == "auto" and not launched(os.environ)):
        return ALONE
    if count == 1:
        return ALONE
    _connect(given, explicit, patience)
    processes = Processes(jax.process_index(), jax.process_count())
    check_devices(jax.devices())
    return processes


def launched(environment: Mapping[str, str]) -> bool:
    """Whether a launcher says in the environment that it started several processes: srun, mpirun, or GKE for a TPU slice.

    A batch script or an interactive shell inside a larger allocation is one process.
    """
    hosts = environment.get("TPU_PROCESS_ADDRESSES") or environment.get("TPU_WORKER_HOSTNAMES") or ""
    sizes = (environment.get(name, "") for name in ("SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE"))
    return "," in hosts or any(size.isdigit() and int(size) > 1 for size in sizes)


def check_devices(devices: Sequence[Any]) -> None:
    """Raises InputError if two processes have different kinds or numbers of devices; they would not compute the same bits.

    Args:
      devices: of all processes, as `jax.devices()` lists them.
    """
    kinds: dict[int, Counter] = {}
    for device in devices:
        kinds.setdefault(device.process_index, Counter())[device.device_kind] += 1
    first = min(kinds)
    for index, kind in kinds.items():
        if kind != kinds[first]:
            here, there = (", ".join(f"{n} × {name}" for name, n in sorted(one.items())) for one in (kinds[first], kind))
            raise InputError(f"process {first} has {here} and process {index} has {there}; start all of them on the same devices")


def leave(status: int) -> None:
    """Lets this process end without waiting for the others; JAX would wait at its exit, then abort with a stack trace."""
    atexit.register(_exit, status)  # handlers run in reverse order, so this one comes before JAX's


def _exit(status: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _check_given(mode: str, given: Mapping[str, Any]) -> None:
    for name, value in given.items():
        if value is None:
            raise InputError(f"--{name} is missing; --coordinator_address, --num_processes and --process_id go together")
    if mode == "off":
        raise InputError("--distributed=off contradicts --coordinator_address; leave one of them out")
    if ":" not in given["coordinator_address"]:
        raise InputError(f"--coordinator_address is host:port of process 0, got {given['coordinator_address']!r}")
    if not 0 <= given["process_id"] < given["num_processes"]:
        raise InputError(
            f"--process_id counts from 0 to --num_processes − 1, got {given['process_id']} of {given['num_processes']}"
        )


def _connect(given: Mapping[str, Any], explicit: bool, patience: int) -> None:
    where = given["coordinator_address"] or "the address that the cluster names"
    late = (
        f"not all processes have shown up at {where} within {patience} s: is each of them started, with the same address and "
        "number of processes, and can they reach it? A single process is started with --distributed=off"
    )
    # JAX's own time limit aborts with a stack trace.
    watchdog = threading.Timer(patience, _give_up, [late])
    watchdog.daemon = True
    watchdog.start()
    _set_flags()
    try:
        jax.distributed.initialize(
            **given,
            local_device_ids=_local_devices(explicit),
            cluster_detection_method="deactivate" if explicit else None,
            initialization_timeout=patience + 60,
        )
        jax.devices()  # waits for the devices of all
    except ValueError as error:
        raise InputError(
            "no SLURM step, Open MPI job, GKE or Cloud TPU slice was found; give --coordinator_address, --num_processes and "
            "--process_id, or --distributed=off"
        ) from error
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"the processes cannot be connected at {where}: {reason}; choose another port, or mend this") from error
    finally:
        watchdog.cancel()


def _give_up(message: str) -> None:
    print(f"error: {message}", file=sys.stderr)
    _exit(2)


def _set_flags() -> None:
    # It would take SIGTERM away from `reasoning.command`.
    jax.config.update("jax_enable_preemption_service", False)
    # XLA shares the search for fast kernels among processes as if all compiled the same programs. Here they do not, and
    # would wait for each other for hours. (openxla/xla pull requests 13108 and 16153.)
    flags = os.environ.get("XLA_FLAGS", "")
    if "xla_gpu_shard_autotuning" not in flags and any(Path(f"/dev/{name}").exists() for name in ("nvidiactl", "kfd")):
        os.environ["XLA_FLAGS"] = f"{flags} --xla_gpu_shard_autotuning=false".strip()


def _local_devices(explicit: bool) -> list[int] | None:
    """Under SLURM JAX takes the GPU with the task's number on its node; `--gpus-per-task=1` shows a task one GPU, number 0."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    alone = len(visible) == 1 and visible != [""] and "JAX_LOCAL_DEVICE_IDS" not in os.environ
    return [0] if alone and not explicit else None
