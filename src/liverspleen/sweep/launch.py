"""Start several workers on this machine, each with a device of its own, and wait for them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

from liverspleen.errors import Issue
from liverspleen.sweep.training import StopSignals

PROGRAM = (sys.executable, "-m", "liverspleen.cli.trial")
"""Starts a worker or a training that ends when the process that started it does."""


def launch_workers(overrides: Sequence[str], workers: int, devices: int) -> list[Issue]:
    """Start `workers` of `liverspleen sweep` with these overrides and wait for them; they end when this process does.

    Args:
        overrides: of the command line; `workers=` is replaced.
        workers: number of processes.
        devices: GPUs of this machine, which the workers use in turn.

    Raises:
        KeyboardInterrupt: this process was asked to stop, and the workers have stopped.
        SystemExit: with code 2 if a worker rejected its input, which it has reported itself.
    """
    own = [word for word in overrides if word.partition("=")[0] != "workers"]
    with StopSignals() as stop:
        processes = [
            subprocess.Popen(
                [*PROGRAM, "sweep", *own, "workers=1"],
                stdin=subprocess.PIPE,
                env={**os.environ, **worker_environment(index, workers, devices)},
                start_new_session=True,
            )
            for index in range(workers)
        ]
        told = 0
        while any(_runs(process) for process in processes):
            if told < stop.count:
                told = stop.count
                for process in processes:
                    process.terminate()
    codes = [process.returncode for process in processes]
    if told:
        raise KeyboardInterrupt
    if 2 in codes:
        raise SystemExit(2)  # told by the workers
    if all(codes):
        message, hint = f"all {workers} workers ended early", "see what they told, then run the same command to go on"
        return [Issue("LS-SWP-011", message, hint)]
    if any(codes):
        message = f"{sum(map(bool, codes))} of {workers} workers ended early; the others did the rest"
        return [Issue("LS-SWP-011", message, "see what it told", severity="warning")]
    return []


def _runs(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(0.1)
    except subprocess.TimeoutExpired:
        return True
    return False


def worker_environment(index: int, workers: int, devices: int) -> dict[str, str]:
    """Environment of one worker of several: its GPU, and its part of the cores."""
    told = os.environ.get("CUDA_VISIBLE_DEVICES")
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, (os.cpu_count() or 1) // workers))
    # an empty word hides all of them
    names = [str(device) for device in range(devices)] if told is None else told.split(",")
    return {"CUDA_VISIBLE_DEVICES": names[index % len(names)], "OMP_NUM_THREADS": threads}
