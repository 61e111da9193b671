"""The modules of a study in experiments/, for its tests."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

EXPERIMENTS = Path(__file__).parents[1] / "experiments"


@contextmanager
def study_modules(study: str, modules: Sequence[str], *, later: Sequence[str] = ()) -> Iterator[SimpleNamespace]:
    """Yield the imported modules of a study, and remove them afterwards: other studies have modules of the same names.

    `later` are modules that the study imports when it needs them.
    """
    names, folder = (*modules, *later), str(EXPERIMENTS / study)
    others = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    sys.path.insert(0, folder)
    try:
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in modules})
    finally:
        sys.path.remove(folder)
        for name in names:
            sys.modules.pop(name, None)
        sys.modules.update(others)
