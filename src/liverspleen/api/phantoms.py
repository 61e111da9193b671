"""Generate phantoms, with a configuration."""

from __future__ import annotations

from pathlib import Path

from liverspleen.config import PhantomConfig
from liverspleen.processes import progress
from liverspleen.provenance import recorded


def run_phantoms(config: PhantomConfig) -> Path:
    """Write the cohort, or keep a finished one, and return the path of its table.

    Raises:
        InputError: the folder holds another cohort.
    """
    from liverspleen.phantom.cohort import write_phantom_cohort

    with recorded("phantom", config, config.output) as record:
        record.seeds["phantom"] = config.seed
        total = config.development + config.test1 + 2 * config.pairs
        with progress("phantom", total) as advance:
            table = write_phantom_cohort(
                config.output,
                development=config.development,
                test1=config.test1,
                pairs=config.pairs,
                seed=config.seed,
                matrix=config.matrix,
                thickness_mm=(config.thickness_min_mm, config.thickness_max_mm),
                file_format=config.format,
                style=config.style,
                workers=config.workers,
                on_case=advance,
            )
        record.outputs += [table, config.output / "truth.csv"]
    return table
