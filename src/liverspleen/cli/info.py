"""versions, devices, where the configuration lies; with network=, parameters and operations of that network.

Imports nothing heavy unless a network is asked for.

example
  liverspleen info network=paper

outputs
  a listing on the screen

exit codes
  0 done; 2 there is no such network, or it cannot be built that way
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from liverspleen import assemble
from liverspleen.config import InfoConfig, NetworkConfig, conf_folder
from liverspleen.errors import Issue
from liverspleen.provenance import git_state, versions


def run(config: InfoConfig) -> Sequence[Issue]:
    """Print the listing."""
    gpus = sorted(entry.name for entry in Path("/proc/driver/nvidia/gpus").glob("*"))
    git = git_state()
    rows = {
        **versions(),
        "cores": str(os.cpu_count()),
        "NVIDIA devices": str(len(gpus)),
        "conf": str(conf_folder()),
        "git": f"{git['commit'][:12]}{' with changes' if git['changed'] else ''}" if git else "not a checkout",
        **({} if config.network is None else _network_rows(config.network, config)),
        "model": "none is shipped; train one with: liverspleen train --help",
        "use": "research only, not a medical device",
    }
    width = max(map(len, rows))
    print("\n".join(f"{name:<{width}}  {value}" for name, value in rows.items()))
    return ()


def _network_rows(network: NetworkConfig, config: InfoConfig) -> dict[str, str]:
    cost = assemble.network_cost(network, slices=config.input_slices, matrix=config.matrix)
    size = f"{config.input_slices} x {config.matrix} x {config.matrix}"
    return {
        "network": f"{network.name} {network.encoder or ''}".rstrip(),
        "parameters": f"{cost.parameters:,}",
        "FLOPs": f"{cost.flops / 1e9:.1f} billion a slice, {size} in (convolutions; 2 for a multiply-add)",
    }
