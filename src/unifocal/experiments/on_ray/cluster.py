"""Joining a Ray cluster, or starting Ray on this machine."""

import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from unifocal.config.sections import ComputeConfig
from unifocal.problems import WorkFailedError, bad_input

LOCAL = "local"
_PATIENCE_S = 5.0
_START_S = 120
"""Ray's own patience is 30 s, which a busy machine may take."""
_OBJECTS_BYTES = 200_000_000
"""Runs are sent as settings and paths, and come back as records."""


class RayFailedError(WorkFailedError):
    """Ray did not start."""


def join(compute: ComputeConfig, jobs: int = 0) -> None:
    """Join the cluster that is asked for, unless this process has joined one; Ray leaves with the process.

    Args:
        compute: `ray_address`: None or `local` starts Ray on this machine, `auto` or `host:port` joins a cluster;
            `gpus_per_run`.
        jobs: Runs at once: Ray on this machine gets at least so many cores, whether or not they are there.

    Raises:
        InputError: If Ray is not installed, no cluster answers, or no machine of it has the GPUs asked for.
        RayFailedError: If Ray cannot be started on this machine.
    """
    _refuse_odd_share(compute.gpus_per_run)
    # Read when Ray is imported.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError:
        remedy = "pip install 'unifocal[all]', or leave --ray-address and --gpus-per-run away."
        raise bad_input("Ray", "is not installed", remedy) from None
    if not ray.is_initialized():
        address = compute.ray_address or LOCAL
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if address == LOCAL:
            os.environ.setdefault("RAY_gcs_server_port_wait_time_s", str(_START_S))
            cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
            try:
                ray.init(
                    address=LOCAL,
                    num_cpus=max(cores, jobs),
                    include_dashboard=False,
                    object_store_memory=_OBJECTS_BYTES,
                    _node_ip_address="127.0.0.1",
                    **quiet,
                )
            except Exception as error:  # Ray raises plain exceptions, for instance where a start takes over 30 s
                message = f"Ray could not be started on this machine ({' '.join(str(error).split())})"
                raise RayFailedError(message) from error
        else:
            _refuse_silent(address)
            try:
                ray.init(address=address, **quiet)
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise _no_cluster(address, str(error)) from None
    if compute.gpus_per_run and not _gpus():
        what = "is asked for, but no machine that Ray knows has a GPU"
        raise bad_input("--gpus-per-run", what, "Leave it away, or join a cluster with GPUs.")


@contextmanager
def connect(compute: ComputeConfig, jobs: int = 0) -> Iterator[None]:
    """As `join`; Ray is left at the end where it was joined here."""
    was_joined = "ray" in sys.modules and sys.modules["ray"].is_initialized()
    join(compute, jobs)
    try:
        yield
    finally:
        if not was_joined:
            sys.modules["ray"].shutdown()


def gpus_for(compute: ComputeConfig) -> float:
    """The share of a GPU for each run: as asked, else a whole one where the cluster has any."""
    return compute.gpus_per_run or float(_gpus() > 0)


def _gpus() -> float:
    import ray

    return float(ray.cluster_resources().get("GPU", 0))  # type: ignore[no-untyped-call]


def _refuse_odd_share(share: float | None) -> None:
    if share is not None and share > 1 and share != int(share):
        raise bad_input("--gpus-per-run", f"is {share:g}", "Give a share up to 1, or a whole number.")


def _refuse_silent(address: str) -> None:
    """Ray itself asks for minutes before it gives up."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "/" in host:
        raise bad_input("--ray-address", f"{address!r} is no address", "Give local, auto, or host:port.")
    try:
        socket.create_connection((host, int(port)), timeout=_PATIENCE_S).close()
    except OSError as error:
        raise _no_cluster(address, str(error)) from None


def _no_cluster(address: str, why: str) -> Exception:
    remedy = "Start one (`ray start --head`) and give the address that it prints, or give local."
    return bad_input(f"--ray-address {address}", f"no Ray cluster answers ({' '.join(why.split())})", remedy)
