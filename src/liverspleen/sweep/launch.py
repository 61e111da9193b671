"""Start several workers on this machine, each with its own device, and wait for them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

from liverspleen.errors import Issue
from liverspleen.processes import cores
from liverspleen.sweep.training import StopSignals, is_running

PROGRAM = (sys.executable, "-m", "liverspleen.cli.trial")
"""Starts a worker or a training that ends when the process that started it ends."""


def launch_workers(overrides: Sequence[str], workers: int, devices: int) -> list[Issue]:
    """Start workers of `liverspleen sweep` and wait for them; they end when this process ends.

    Args:
        overrides: of the command line; `workers=` is replaced.
        workers: number of processes.
        devices: number of GPUs of this machine; the workers are distributed over them.

    Raises:
        KeyboardInterrupt: this process was asked to stop, and the workers have stopped.
        SystemExit: with code 2 if a worker rejected its input; the worker has printed the issues.
    """
    passed = [override for override in overrides if override.partition("=")[0] != "workers"]
    with StopSignals() as stop:
        processes = [
            subprocess.Popen(
                [*PROGRAM, "sweep", *passed, "workers=1"],
                stdin=subprocess.PIPE,
                env={**os.environ, **worker_environment(index, workers, devices)},
                start_new_session=True,
            )
            for index in range(workers)
        ]
        forwarded = 0
        while any(is_running(process) for process in processes):
            if forwarded < stop.count:
                forwarded = stop.count
                for process in processes:
                    process.terminate()
    codes = [process.returncode for process in processes]
    if forwarded:
        raise KeyboardInterrupt
    if 2 in codes:
        raise SystemExit(2)
    if all(codes):
        message, hint = f"all {workers} workers ended early", "read their messages, then run the same command to resume"
        return [Issue("LS-SWP-011", message, hint)]
    if any(codes):
        message = f"{sum(map(bool, codes))} of {workers} workers ended early; the others finished the sweep"
        return [Issue("LS-SWP-011", message, "read the messages of the worker", severity="warning")]
    return []


def worker_environment(index: int, workers: int, devices: int) -> dict[str, str]:
    """Return the environment variables that give one of several workers its GPU and its fraction of the cores."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, cores() // workers))
    # CUDA_VISIBLE_DEVICES= hides all GPUs
    names = [str(device) for device in range(devices)] if visible is None else visible.split(",")
    return {"CUDA_VISIBLE_DEVICES": names[index % len(names)], "OMP_NUM_THREADS": threads}
