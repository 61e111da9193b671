"""The main verbs as Python functions: each one has the keys of its verb as arguments and returns its results.

A key of a config group is given as a mapping, `trainer={"steps": 200}`, or with its full name,
`**{"trainer.steps": 200}`; the choice of a group as text, `network="small"`. Values are Python values: text stays text,
and None is an empty key. `liverspleen VERB --help` lists all keys with their limits and defaults.

Input that cannot be used raises `InputError`. A case that cannot be used does not stop the others: it is in `issues`
of the result, and each error or warning among the issues is also a Python warning (`InputWarning`).
"""

from __future__ import annotations

import warnings
from os import PathLike
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from liverspleen.errors import InputWarning, Issue, collapsed
from liverspleen.shipped import NAME as SHIPPED
from liverspleen.storage import StrPath

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from liverspleen.api.correction import Correction
    from liverspleen.api.evaluation import Compared, Measured, Reported
    from liverspleen.api.prediction import Predicted
    from liverspleen.api.training import Training
    from liverspleen.cohort.findings.cohort_check import Checked

__all__ = ["check", "compare", "correct", "measure", "phantom", "predict", "report", "train"]


class _Result(Protocol):
    @property
    def issues(self) -> tuple[Issue, ...]: ...


ResultT = TypeVar("ResultT", bound=_Result)


def train(*, cohort: StrPath, output: StrPath, **keys: Any) -> Training:
    """Train a network on the development cases of a cohort, or resume an interrupted training.

    Args:
        cohort: `cohort.csv`, or a folder of images and label maps.
        output: folder for checkpoints, metrics and the record of the run.
        **keys: further keys of `liverspleen train`, such as `split`, `network`, `experiment`, `trainer`.

    Raises:
        InputError: a key, the cohort or the split cannot be used.
        KeyboardInterrupt: the training was stopped; its last step is saved, and the same call resumes it.
    """
    from liverspleen.api.folds import overrides, run_folds
    from liverspleen.api.training import run_training

    config = _config("train", cohort=cohort, output=output, **keys)
    return _warned(run_training(config) if config.folds is None else run_folds(config, [*overrides(keys)]))


def phantom(*, output: StrPath, **keys: Any) -> Path:
    """Generate a cohort of synthetic CT scans (phantoms) with known volumes, and return the path of its `cohort.csv`.

    Args:
        output: folder for images and label maps.
        **keys: further keys of `liverspleen phantom`, such as `development`, `matrix`, `seed`.

    Raises:
        InputError: a key cannot be used, or the folder holds another cohort.
    """
    from liverspleen.api.phantoms import run_phantoms

    return run_phantoms(_config("phantom", output=output, **keys))


def check(*, cohort: StrPath, **keys: Any) -> Checked:
    """Check a cohort for errors: table, files, geometry, HU, label maps, anatomy, duplicates.

    Args:
        cohort: `cohort.csv`, or a folder of images and label maps.
        **keys: further keys of `liverspleen check`, such as `output`.

    Raises:
        InputError: a key or the cohort cannot be used. Findings are in `findings` of the result.
    """
    from liverspleen.api.checking import run_check

    return run_check(_config("check", cohort=cohort, **keys))


def predict(*, input: StrPath, output: StrPath, model: StrPath | Sequence[StrPath] = SHIPPED, **keys: Any) -> Predicted:
    """Segment CT scans with a trained model, each on its own grid; finished cases of an earlier call are kept.

    Args:
        input: NIfTI file, DICOM folder, zip archive, folder of these, or `cohort.csv`.
        output: folder for label maps and tables.
        model: model package, or checkpoint of a training; an ensemble package or several models, which are averaged;
            `phantom` is the shipped model.
        **keys: further keys of `liverspleen predict`, such as `datasets`, `flips`, `probabilities`, `workers`.

    Raises:
        InputError: a key, the model or the input cannot be used.
    """
    from liverspleen.api.prediction import run_prediction

    return _warned(run_prediction(_config("predict", model=_list(model), input=input, output=output, **keys)))


def correct(*, folder: StrPath, input: StrPath | None = None, **keys: Any) -> Correction:
    """Copy predicted cases to a correction folder, or import the edits in it.

    Args:
        folder: correction folder: `output=` of the verb with `input`, `import=` without.
        input: output folder of `predict`; None: edits and verdicts are imported.
        **keys: further keys of `liverspleen correct`, such as `top`, `cases`; `reader`, `state`, `cohort`, `split`.

    Raises:
        InputError: a key, the predictions, the cohort or the split cannot be used.
    """
    from liverspleen.api.correction import run_import, run_making

    if input is not None:
        return _warned(run_making(_config("correct", input=input, output=folder, **keys)))
    return _warned(run_import(_config("correct", **{"import": folder, **keys})))


def measure(*, labels: StrPath, output: StrPath, **keys: Any) -> Measured:
    """Measure volumes, overlap, surface distances and attenuation of label maps from any system.

    Args:
        labels: folder of label maps.
        output: folder for `measurements.csv`.
        **keys: further keys of `liverspleen measure`, such as `cohort`, `reference`, `reader`, `label_values`.

    Raises:
        InputError: a key, a folder or the cohort cannot be used.
    """
    from liverspleen.api.evaluation import run_measurement

    return _warned(run_measurement(_config("measure", labels=labels, output=output, **keys)))


def report(*, measurements: StrPath, output: StrPath, **keys: Any) -> Reported:
    """Write the paper's tables and figures.

    Args:
        measurements: `measurements.csv`.
        output: folder for tables, figures, `report.json` and `report.html`.
        **keys: further keys of `liverspleen report`, such as `reader`, `reference`, `cohort`, `labels`.

    Raises:
        InputError: a key, a table or the cohort cannot be used.
    """
    from liverspleen.api.evaluation import run_report

    return _warned(run_report(_config("report", measurements=measurements, output=output, **keys)))


def compare(*, measurements: StrPath | Sequence[StrPath], output: StrPath, **keys: Any) -> Compared:
    """Compare two or more readers on the same cases against the same reference.

    Args:
        measurements: one `measurements.csv` with all readers, or several.
        output: folder for tables and figures.
        **keys: further keys of `liverspleen compare`, such as `readers`, `reference`, `datasets`.

    Raises:
        InputError: a key, a table, a reader or the reference cannot be used.
    """
    from liverspleen.api.evaluation import run_comparison

    return _warned(run_comparison(_config("compare", measurements=_list(measurements), output=output, **keys)))


def _list(paths: StrPath | Sequence[StrPath]) -> list[StrPath]:
    return [paths] if isinstance(paths, str | PathLike) else [*paths]


def _config(verb: str, **values: Any) -> Any:
    from liverspleen.config import compose

    return compose(verb, values=values)


def _warned(result: ResultT) -> ResultT:
    """Return the result, and warn about its issues at the place of the call."""
    for line in collapsed(issue for issue in result.issues if issue.severity != "note"):
        warnings.warn(line, InputWarning, stacklevel=3)
    return result
