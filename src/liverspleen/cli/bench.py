"""time the steps of a training: its parts, slices per second, memory, and what bounds it.

Takes the words of `train`: put `bench` in its place. Of the data only cache= is read; without it slices are made up.
Nothing is trained and no checkpoint written. Run it alone on the machine.

example
  liverspleen bench network=paper trainer.batch_size=4 output=outputs/bench

outputs
  the parts of a step, medians: load (waiting for a batch), transfer, augment, forward, backward, optimizer, idle
  bound by: loader (more trainer.workers help), host (the GPU waits for the CPU to launch its work: trainer.compile
  or a larger batch helps), compute
  of the machine: its measured rates of matrix products and of copies, and the least time a step would take by each
  in output=: bench.json, run.json

exit codes
  0 done; 2 the input was rejected; 1 failure
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from liverspleen import assemble
from liverspleen.api.bench import run_bench
from liverspleen.config import BenchConfig
from liverspleen.errors import InputError, Issue


def run(config: BenchConfig) -> Sequence[Issue]:
    """Time the steps, print the result."""
    if wrong := assemble.bf16_issues(config):
        raise InputError(wrong)
    print(_told(run_bench(config)))
    return ()


def _told(result: dict[str, Any]) -> str:
    times, trainer, network = result["times"], result["trainer"], result["network"]
    size = " x ".join(map(str, result["input"]))
    options = [trainer["precision"], *(name for name in ("channels_last", "compile", "fused") if trainer[name])]
    parts = {"load": times["load_s"], **times["parts_s"], "idle": times["idle_s"], "step": times["step_s"]}
    lines = [
        f"bench: {network.get('encoder') or network.get('name')}, {size}, {', '.join(options)}; "
        f"{result['slices']} slices; "
        f"{result['device']}, {result['threads']} threads; medians over {times['steps']} steps",
        *(f"  {name:<10} {1e3 * s:10.2f} ms  {100 * s / times['step_s']:5.1f} %" for name, s in parts.items()),
        f"{result['slices_per_s']:.2f} slices/s",
    ]
    if result["peak_memory_bytes"] is not None:
        lines.append(f"peak memory {result['peak_memory_bytes'] / 2**30:.2f} GiB")
    if result["busy_fraction"] is not None:
        lines.append(f"GPU busy {100 * result['busy_fraction']:.0f} %")
    lines.append(f"bound by: {times['bound']}")
    rates = {
        "flops": ("arithmetic", "matrix products", result["matmul_flops_per_s"], 1e9, "GFLOP"),
        "bytes": ("memory, nothing fused", "copies", result["copy_bytes_per_s"], 1e9, "GB"),
    }
    for key, (limit, of, rate, unit, name) in rates.items():
        line = f"machine: {of} at {rate / unit:.0f} {name}/s"
        if result["work"] is not None:
            amount = result["work"][key]
            fraction = 100 * amount / rate / times["step_s"]
            line += f"; a step has {amount / unit:.0f} {name}: by {limit} {1e3 * amount / rate:.0f} ms, {fraction:.0f}%"
        lines.append(line)
    return "\n".join(lines)
