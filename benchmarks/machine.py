"""The conditions of a benchmark: processor, device, measured limits and versions."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

import liverspleen
from liverspleen.processes import cores, has_bf16_instructions
from liverspleen.training.limits import copy_bytes_per_s, matmul_flops_per_s


def machine(device: torch.device) -> dict[str, Any]:
    """Return the properties of the machine, with its measured rates."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    rates = {"matmul_flops_per_s fp32": matmul_flops_per_s(device), "copy_bytes_per_s": copy_bytes_per_s(device)}
    if device.type == "cuda" or has_bf16_instructions():
        rates["matmul_flops_per_s bf16"] = matmul_flops_per_s(device, torch.bfloat16)
    return {
        "cpu": models[0] if models else platform.processor(),
        "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "cores": cores(),
        "load_before": round(os.getloadavg()[0], 2),
        "system": platform.system(),
        "python": platform.python_version(),
        **rates,
    }


def versions(names: Sequence[str]) -> dict[str, str]:
    """Return the version of liverspleen and of these distributions."""
    found = {"liverspleen": liverspleen.__version__}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "missing"
    return found
