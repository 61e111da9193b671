"""versions, devices, and where the configuration lies; imports nothing heavy.

example
  liverspleen info

outputs
  a listing on the screen

exit codes
  0 done
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from liverspleen.cli.composition import conf_folder
from liverspleen.config import InfoConfig
from liverspleen.errors import Fault
from liverspleen.provenance import git_state, versions


def run(config: InfoConfig) -> Sequence[Fault]:
    """Print the listing."""
    gpus = sorted(entry.name for entry in Path("/proc/driver/nvidia/gpus").glob("*"))
    git = git_state()
    rows = {
        **versions(),
        "cores": str(os.cpu_count()),
        "NVIDIA devices": str(len(gpus)),
        "conf": str(conf_folder()),
        "git": f"{git['commit'][:12]}{' with changes' if git['changed'] else ''}" if git else "not a checkout",
        "model": "none is shipped; train one with: liverspleen train --help",
        "use": "research only, not a medical device",
    }
    width = max(map(len, rows))
    print("\n".join(f"{name:<{width}}  {value}" for name, value in rows.items()))
    return ()
