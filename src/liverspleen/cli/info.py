"""print versions, devices and paths, the size of a network, and the organs of a model.

With network=, the number of parameters and of floating-point operations per slice is printed. With model=, the organs
that a model was taught, its training cases and its SHA-256 are printed; any other organ is unknown in its results.

examples
  liverspleen info network=paper
  liverspleen info model=package

exit codes
  0: finished; 2: the network does not exist or cannot be built, or the model cannot be used; 1: failure
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from liverspleen import assemble
from liverspleen.config import InfoConfig, NetworkConfig, conf_folder
from liverspleen.errors import Issue
from liverspleen.inference.untrusted.model_file import checked_model
from liverspleen.organs import listed
from liverspleen.provenance import git_state, versions


def run(config: InfoConfig) -> Sequence[Issue]:
    """Print the table."""
    gpus = sorted(entry.name for entry in Path("/proc/driver/nvidia/gpus").glob("*"))
    git = git_state()
    rows = {
        **versions(),
        "cores": str(os.cpu_count()),
        "NVIDIA devices": str(len(gpus)),
        "conf": str(conf_folder()),
        "git": f"{git['commit'][:12]}{' with changes' if git['changed'] else ''}" if git else "not a checkout",
        **({} if config.network is None else _network_rows(config.network, config)),
        **_model_rows(config.model),
        "use": "research only, not a medical device",
    }
    width = max(map(len, rows))
    print("\n".join(f"{name:<{width}}  {value}" for name, value in rows.items()))
    return ()


def _model_rows(model: Path | None) -> dict[str, str]:
    if model is None:
        return {"model": "no pretrained model is shipped; see liverspleen train --help"}
    found = checked_model(model)
    training = found.description.get("training")
    cases = training.get("cases") if isinstance(training, Mapping) else None
    before = found.description.get("ancestors") or []
    return {
        "model": f"{'checkpoint' if found.files is None else 'model package'} {found.path}",
        "SHA-256": found.sha256,
        "organs taught": listed(keys=found.description["taught_organs"]),
        "training cases": "not recorded" if cases is None else str(cases),
        **{f"start model {number}": one["sha256"] for number, one in enumerate(before, 1)},
    }


def _network_rows(network: NetworkConfig, config: InfoConfig) -> dict[str, str]:
    cost = assemble.network_cost(network, slices=config.input_slices, matrix=config.matrix)
    size = f"{config.input_slices} x {config.matrix} x {config.matrix}"
    return {
        "network": f"{network.name} {network.encoder or ''}".rstrip(),
        "parameters": f"{cost.parameters:,}",
        "FLOPs": f"{cost.flops / 1e9:.1f} billion per slice for input {size} (convolutions; a multiply-add counts 2)",
    }
