"""The page of the results as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd
from plan import AS_IS, NNUNET, NNUNET_TIME, SCRATCH, START
from settings import LOWER_RATE, Settings
from tables import BOTH

from liverspleen.cohort import Cohort
from liverspleen.errors import counted

NAMES = {
    AS_IS: "start model as it is",
    SCRATCH: "from scratch",
    START: "from the start model",
    NNUNET: "nnU-Net 2D, equal slices",
    NNUNET_TIME: "nnU-Net 2D, equal time",
}

WITHOUT_NNUNET = "The arms of nnU-Net are not part of these results, because `nnunet=` was not given."

NO_CLAIM = (
    "The default training of nnU-Net has 1000 epochs of 250 iterations on a GPU. Here it has as many training slices "
    "or as much time as our trainings, so nothing is claimed about a converged nnU-Net. Its loss, "
    "augmentation and form of the schedule are its own; the spacing of its plans in the plane is ours."
)

METHOD = (
    "Each patient is a test patient in exactly one fold, and no model was trained on its test patients. The DSS is per "
    "case in 3D on the grid of the CT; a case without a label map has a DSS of 0. Intervals are 95 % intervals over "
    "patients, with several seeds also over seeds. They treat the patients as independent, although the patients of a "
    "fold have the same model, and the models of different folds share training patients. Volume bias and limits of "
    "agreement (LOA) are in percent of the mean of both volumes. HD95 is the mean over the cases with a segmentation; "
    "the number of cases without one is in brackets. Differences are first minus second."
)


def page(cohort: Cohort, settings: Settings, arms: pd.DataFrame, differences: pd.DataFrame, spent: pd.DataFrame) -> str:
    """Return the page; undefined numbers say why."""
    used = [case for case in cohort.cases if case.is_development]
    others = len(cohort.cases) - len(used)
    patients = len({case.patient_id for case in used})
    unit = "processor time" if settings.device == "cpu" else "wall time"
    lines = [
        "# Start model, training from scratch and nnU-Net at equal slices and equal time",
        f"{counted(patients, 'patient')} ({counted(len(used), 'case')}), {settings.folds} folds, "
        f"{counted(settings.seeds, 'seed')}. Our trainings: `experiment={settings.experiment}`, "
        f"{settings.steps} steps, {settings.slices_seen} training slices, pixels of {settings.pixel_mm:g} mm, "
        f"device {settings.device}. From the start model, "
        f"the learning rate is 1/{LOWER_RATE} of that of the experiment. "
        f"Equal time is equal {unit} of the whole training command.",
        *([f"{counted(others, 'case')} of other datasets are not used."] if others else []),
        _about_nnunet(settings),
        METHOD,
        "![Mean DSS by the number of training patients, and by the time of a training](public_ct.svg)",
        "## Results",
        _table(_HEAD, (_arm(row) for row in _records(arms))),
        "## Differences of the DSS",
        _table(_DIFFERENCE_HEAD, (_difference(row) for row in _records(differences))),
        "## Trainings",
        _table(_TIME_HEAD, (_time(row) for row in _records(spent))) if len(spent) else "No training is finished.",
    ]
    return "\n\n".join(lines) + "\n"


def _about_nnunet(settings: Settings) -> str:
    if settings.nnunet is None:
        return WITHOUT_NNUNET
    sizes = ", ".join(map(str, settings.sizes_of_nnunet))
    return f"{NO_CLAIM} Its numbers of training patients are {sizes}."


_HEAD = ("arm", "training patients", "organ", "n", "mean DSS", "lowest", "empty", "HD95, mm", "volume bias (LOA), %")
_DIFFERENCE_HEAD = ("first", "second", "equal", "organ", "n", "difference")
_TIME_HEAD = ("arm", "training patients", "trainings", "steps", "slices", "processor s", "wall s", "s per step")


def _records(table: pd.DataFrame) -> list[dict]:
    return table.astype(object).where(table.notna(), None).to_dict("records")


def _arm(row: dict) -> Iterable[str]:
    cells = [NAMES[row["arm"]], str(row["size"]), _organ(row), _n(row), _estimate(row, "dss")]
    if row["structure"] == BOTH:
        return [*cells, "", "", "", ""]
    worst = "undefined" if row["worst_dss"] is None else f"{row['worst_dss']:.3f} ({row['worst_case']})"
    missing = f", {row['not_predicted']:g} without a label map" if row["not_predicted"] else ""
    distance = "no case has a segmentation" if row["hd95_mm"] is None else f"{row['hd95_mm']:.1f}"
    return [*cells, worst, f"{row['empty']:g}{missing}", f"{distance} ({row['hd95_undefined']:g})", _volume(row)]


def _volume(row: dict) -> str:
    if row["volume_bias_pct"] is None:
        return f"undefined: {row['volume_reason']}"
    if row["loa_lower_pct"] is None:
        return f"{row['volume_bias_pct']:.1f} ({row['volume_reason']})"
    return f"{row['volume_bias_pct']:.1f} ({row['loa_lower_pct']:.1f} to {row['loa_upper_pct']:.1f})"


def _difference(row: dict) -> Iterable[str]:
    first, second = (f"{NAMES[row[side]]}{_patients(row[f'{side}_size'])}" for side in ("first", "second"))
    return [first, second, row["basis"], _organ(row), _n(row), _estimate(row, "difference")]


def _patients(size: int) -> str:
    return f", {counted(size, 'patient')}" if size else ""


def _time(row: dict) -> Iterable[str]:
    numbers = [f"{row[key]:.0f}" for key in ("steps", "slices_seen", "processor_s", "wall_s")]
    return [
        NAMES[row["arm"]],
        str(row["size"]),
        str(row["trainings"]),
        *numbers,
        f"{row['seconds'] / row['steps']:.3g}",
    ]


def _organ(row: dict) -> str:
    return "mean of both" if row["structure"] == BOTH else row["structure"]


def _n(row: dict) -> str:
    undefined = f" ({row['excluded']} undefined)" if row["excluded"] else ""
    return f"{row['patients']}{undefined}"


def _estimate(row: dict, key: str) -> str:
    if row[key] is None:
        return f"undefined: {row['reason']}"
    if row["lower"] is None:
        return f"{row[key]:.3f} (interval undefined: {row['reason']})"
    return f"{row[key]:.3f} ({row['lower']:.3f} to {row['upper']:.3f})"


def _table(head: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows))
