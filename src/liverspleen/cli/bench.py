"""measure the time of each part of a training step, and report what limits the speed.

The options are those of `train`. Only cache= is read; without it, slices of noise are used. No checkpoint is written.
Run no other work on the machine at the same time.

examples
  liverspleen bench network=paper trainer.batch_size=4 output=outputs/bench

outputs, printed
  median times     load (waiting for a batch), transfer, augment, forward, backward, optimizer, idle
  bound by         loader: increase trainer.workers; host: the GPU waits for the CPU, use trainer.compile or a larger
                   batch; compute
  machine          measured rates of matrix products and of copies, and the minimum time of a step at these rates

outputs, in output= if given
  bench.json       the same numbers
  run.json         command, configuration, versions and hashes

exit codes
  0: finished; 2: the input was rejected, each issue listed; 1: failure
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from liverspleen import assemble
from liverspleen.api.bench import run_bench
from liverspleen.config import BenchConfig
from liverspleen.errors import InputError, Issue


def run(config: BenchConfig) -> Sequence[Issue]:
    """Measure the steps, and print the result."""
    if issues := assemble.bf16_issues(config):
        raise InputError(issues)
    print(_text(run_bench(config)))
    return ()


def _text(result: dict[str, Any]) -> str:
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
        "bytes": ("unfused memory", "copies", result["copy_bytes_per_s"], 1e9, "GB"),
    }
    for key, (limit, operation, rate, unit, name) in rates.items():
        line = f"machine: {operation} at {rate / unit:.0f} {name}/s"
        if result["work"] is not None:
            amount = result["work"][key]
            fraction = 100 * amount / rate / times["step_s"]
            limit_ms = 1e3 * amount / rate
            line += f"; a step has {amount / unit:.0f} {name}: {limit} limit {limit_ms:.0f} ms, {fraction:.0f}%"
        lines.append(line)
    return "\n".join(lines)
