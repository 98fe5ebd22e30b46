"""The connection to a Ray cluster."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import socket
from typing import Any

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError
from flawshot.base.parallel import cores
from flawshot.base.store.files import one_line

__all__ = ["connect_to_ray"]

# How long a cluster's head may take to answer.
CONNECT_SECONDS = 10


def connect_to_ray(address: str) -> tuple[Any, bool]:
    """Ray's module, connected to a cluster, and whether it was connected here.

    Args:
        address: ``local`` starts Ray on this machine, and ``auto`` or ``HOST:PORT`` connects to a cluster. If this
            process is connected to one already, it is used.

    Raises:
        FlawshotError: If Ray is not installed, or cannot be reached.
    """
    if importlib.util.find_spec("ray") is None:
        raise FlawshotError(
            'ray is not installed, and work on a Ray cluster needs it; install it with pip install "flawshot[ray]"'
        )
    # Ray reads these when it is imported: it reports how it is used unless told otherwise, and warns of a change that
    # does not matter here, because actors are told whether they compute on a GPU.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    ray: Any = importlib.import_module("ray")
    if ray.is_initialized():
        return ray, False
    _check_reachable(address)
    options: dict[str, Any] = {"num_cpus": cores(), "include_dashboard": False} if address == "local" else {}
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL, **options)
    except (OSError, RuntimeError, ValueError, AssertionError) as error:
        raise _unreachable(address, error) from error
    worker: Any = importlib.import_module("ray._private.worker")
    if hasattr(worker, "_worker_logs_enabled"):  # Ray prints that a process died to standard output, which is ours
        worker._worker_logs_enabled = False  # noqa: SLF001
    return ray, True


def _check_reachable(address: str) -> None:
    """Try to connect to a cluster's port, because Ray itself would wait for it without end."""
    host, _, port = address.rpartition(":")
    if not host or "/" in address or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise _unreachable(address, error) from error


def _unreachable(address: str, error: Exception) -> FlawshotError:
    return FlawshotError(
        f"{argument('address', address)}: cannot be connected to ({one_line(error)[:200]}); start a cluster with ray "
        "start, or name local"
    )
