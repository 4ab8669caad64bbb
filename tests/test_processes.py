"""One of several processes: nothing starts by itself on a laptop, shares make up the whole, mistakes get one line."""

import itertools
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import jax
import pytest
from doubles.ports import free_port
from hypothesis import given
from hypothesis import strategies as st

from reasoning import processes
from reasoning.errors import InputError
from reasoning.processes import ALONE, Processes, check_devices, launched, start

ROOT = Path(__file__).parent.parent


@given(st.lists(st.integers()), st.integers(1, 9))
def test_a_problem_is_left_out_or_drawn_twice(items, count):
    shares = [Processes(index, count).share(items) for index in range(count)]
    assert sorted(itertools.chain(*shares)) == sorted(items)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert not items or shares[0], "process 0 seals the plan, so it must have work whenever there is some"


@pytest.mark.parametrize(
    ("environment", "several"),
    [
        ({}, False),
        ({"SLURM_STEP_NUM_TASKS": "1", "SLURM_NTASKS": "1"}, False),
        ({"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"}, False),  # a batch script without srun
        ({"SLURM_STEP_NUM_TASKS": "1", "SLURM_NTASKS": "4"}, False),  # an interactive shell in an allocation
        ({"SLURM_STEP_NUM_TASKS": "4", "SLURM_NTASKS": "4"}, True),
        ({"OMPI_COMM_WORLD_SIZE": "2"}, True),
        ({"TPU_WORKER_HOSTNAMES": "localhost"}, False),
        ({"TPU_WORKER_HOSTNAMES": "host-0,host-1"}, True),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, False),
    ],
)
def test_a_single_process_waits_for_others(environment, several, monkeypatch):
    assert launched(environment) == several
    called = []
    monkeypatch.setattr(processes, "_connect", lambda *arguments: called.append(arguments))
    for name in ("SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE", "TPU_WORKER_HOSTNAMES", "TPU_PROCESS_ADDRESSES"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert start("off") == ALONE and not called
    start("auto")
    assert bool(called) == several
    assert start("auto", "localhost:1", 1, 0) == ALONE


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("auto", "host:1", 2, None), "--process_id is missing"),
        (("auto", None, 2, 1), "--coordinator_address is missing"),
        (("off", "host:1", 2, 1), "--distributed=off contradicts"),
        (("auto", "host", 2, 1), "is host:port of process 0, got 'host'"),
        (("auto", "host:1", 2, 2), "counts from 0 to --num_processes − 1, got 2 of 2"),
    ],
)
def test_contradictory_numbers_reach_jax(arguments, message):
    with pytest.raises(InputError, match=message):
        start(*arguments)


def test_processes_with_other_devices_compute_other_bits():
    def devices(*kinds):
        return [SimpleNamespace(process_index=index, device_kind=kind) for index, kind in kinds]

    check_devices(devices((0, "H100"), (0, "H100"), (1, "H100"), (1, "H100")))
    for other in (devices((0, "H100"), (1, "A100")), devices((0, "H100"), (1, "H100"), (1, "H100"))):
        with pytest.raises(InputError, match=r"process 0 has 1 × H100 and process 1 has (1 × A100|2 × H100)"):
            check_devices(other)


def test_a_gpu_bound_to_its_task_is_looked_for_under_the_tasks_number(monkeypatch):
    monkeypatch.delenv("JAX_LOCAL_DEVICE_IDS", raising=False)
    for visible, explicit, wanted in (("2", False, [0]), ("0,1", False, None), ("2", True, None), ("", False, None)):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        assert processes._local_devices(explicit) == wanted


def test_a_mesh_reaches_for_the_devices_of_other_processes(monkeypatch):
    from reasoning.sharding import make_mesh

    monkeypatch.setattr(jax, "devices", lambda: pytest.fail("the devices of all processes"))
    assert list(make_mesh().devices.flat) == jax.local_devices()[:1]


def test_without_a_cluster_the_numbers_are_asked_for(monkeypatch):
    def nothing_found(**arguments):
        raise ValueError("coordinator_address should be defined.")

    monkeypatch.setattr(jax.distributed, "initialize", nothing_found)
    monkeypatch.setattr(jax.config, "update", lambda *arguments: None)
    with pytest.raises(InputError, match="no SLURM step, Open MPI job, GKE or Cloud TPU slice was found; give --coordinator"):
        start("on")


def test_the_others_never_come_and_the_program_hangs_or_aborts():
    """JAX would abort with a stack trace of C++."""
    code = "import sys; from reasoning.processes import start; start('auto', sys.argv[1], 2, 0, patience=1)"
    command = [sys.executable, "-c", code, f"localhost:{free_port()}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: not all processes have shown up at localhost:") and done.stderr.count("\n") == 1
