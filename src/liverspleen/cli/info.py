"""print versions, devices and paths, the size of a network, and the organs of a model.

With network=, the number of parameters and of floating-point operations per slice is printed. With model=, the organs
that a model was taught, its training cases, its results on test cases and its SHA-256 are printed; any other organ is
unknown in its results. model=phantom is the shipped model.

examples
  liverspleen info network=paper
  liverspleen info model=package

exit codes
  0: finished; 2: the network does not exist or cannot be built, or the model cannot be used; 1: failure
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from liverspleen import assemble
from liverspleen.config import InfoConfig, NetworkConfig, conf_folder
from liverspleen.errors import Issue, counted
from liverspleen.inference.tested import TESTED, claim, scores
from liverspleen.inference.untrusted.ensemble_file import checked_ensemble
from liverspleen.inference.untrusted.model_file import CheckedModel
from liverspleen.organs import listed
from liverspleen.provenance import git_state, versions
from liverspleen.shipped import NAME, is_installed


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
        return {"model": f"{NAME}, shipped" if is_installed() else "this installation has no shipped model"}
    found = checked_ensemble([model])
    first = found.members[0]
    kind = "checkpoint" if first.files is None else "model package"
    if found.package:
        kind = f"ensemble package of {counted(len(found.members), 'model')}"
    return {
        "model": f"{kind} {model}",
        "SHA-256": found.sha256,
        "organs taught": listed(keys=first.description["taught_organs"]),
        "training cases": ", ".join(map(_training_cases, found.members)),
        **_test_rows(found.members),
        **{f"start model {number}": sha256 for number, sha256 in enumerate(_before(found.members), 1)},
    }


def _test_rows(members: Sequence[CheckedModel]) -> dict[str, str]:
    """Return the results on test cases; an ensemble has none of its own."""
    tested = members[0].package.get(TESTED) if len(members) == 1 else None
    return {} if tested is None else {"test cases": f"{claim(tested)}: {scores(tested)}"}


def _before(members: Iterable[CheckedModel]) -> Iterable[str]:
    """Return the hashes of the models that the members were started from, each once."""
    return dict.fromkeys(one["sha256"] for member in members for one in member.description.get("ancestors") or [])


def _training_cases(member: CheckedModel) -> str:
    training = member.description.get("training")
    cases = training.get("cases") if isinstance(training, Mapping) else None
    return "not recorded" if cases is None else str(cases)


def _network_rows(network: NetworkConfig, config: InfoConfig) -> dict[str, str]:
    cost = assemble.network_cost(network, slices=config.input_slices, matrix=config.matrix)
    size = f"{config.input_slices} x {config.matrix} x {config.matrix}"
    return {
        "network": f"{network.name} {network.encoder or ''}".rstrip(),
        "parameters": f"{cost.parameters:,}",
        "FLOPs": f"{cost.flops / 1e9:.1f} billion per slice for input {size} (convolutions; a multiply-add counts 2)",
    }
