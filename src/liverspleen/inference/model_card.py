"""The model card of a model package: Markdown with YAML front matter, as on Hugging Face, from the recorded values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from liverspleen.errors import counted, one_line
from liverspleen.inference.tested import TESTED, claim
from liverspleen.organs import ORGAN_KEYS, listed

UNKNOWN = "not recorded"

_PHANTOMS = """\
> **TRAINED ON PHANTOMS ONLY.** All training cases of this model are computed images, not scans of patients. The model
> only demonstrates the software. Its label maps and volumes of CT scans of patients mean nothing.

"""
_LIMITS = """\
## Limits

- Research use only. This is not a medical device; do not use its results for diagnosis or treatment.
- The software is intended for portal venous CT of adults. Results for other phases, contrast doses, scanners, children
  and organs after surgery depend on how well the training cases represent them.
- No reader has checked the label maps. Review each volume whose status is not `ok`, and the first cases of the review
  list.
- The validation cases come from the same source as the training cases. {selection}
"""
_LIMITS_OF_PHANTOMS = """\
- Phantoms simplify anatomy and disease. What they do not show or show only roughly can be missed or outlined wrongly
  without any sign: organs after surgery or transplantation, large masses, surgical material and drains, and rare
  variants of shape or position.
"""


def model_card(package: Mapping[str, Any]) -> str:
    """Return the model card for the content of a model.json; unknown values are given as "not recorded"."""
    taught = package["model"]["taught_organs"]
    return "".join(
        [
            _front_matter(package),
            f"# {escaped(package['name'])}\n\n",
            f"Segmentation of {listed(keys=taught)} on CT with liverspleen, after\n"
            "[Ahn et al., Korean J Radiol 2020](https://doi.org/10.3348/kjr.2020.0237).\n\n",
            _phantoms(package),
            _not_taught(taught),
            "**Research use only. Not a medical device.**\n\n",
            _table("## Model", _model(package)),
            _data(package["model"]),
            _table("## Training", _training(package)),
            _ancestors(package["model"]),
            _validation(package),
            _tested(package.get(TESTED)),
            _postprocessing(package.get("postprocessing"), taught),
            _onnx(package.get("onnx")),
            _limits(package),
            "## License\n\n",
            f"{escaped(package['license'])}; see LICENSE.\n\n" if package["license"] else f"License: {UNKNOWN}.\n\n",
            "## Use\n\n    liverspleen predict model=PACKAGE input=CT.nii.gz output=labels\n",
        ]
    )


def ensemble_card(package: Mapping[str, Any]) -> str:
    """Return the card for the content of an ensemble.json; each member has a model card of its own."""
    taught = package["taught_organs"]
    number = len(package["members"])
    return "".join(
        [
            _front_matter({**package, "model": package}),
            f"# {escaped(package['name'])}\n\n",
            f"Segmentation of {listed(keys=taught)} on CT with liverspleen by {counted(number, 'network')}, whose\n",
            "probabilities are averaged.\n\n",
            _PHANTOMS if package["phantoms_only"] else "",
            _not_taught(taught),
            "**Research use only. Not a medical device.**\n\n",
            _members(package["members"]),
            "## Data, validation and limits\n\n"
            "Each member has a model card of its own in its folder. A validation case of one member can be a training\n"
            f"case of another. Results of the ensemble on an independent test set: {UNKNOWN}.\n\n",
            "## License\n\n",
            f"{escaped(package['license'])}; see LICENSE.\n\n" if package["license"] else f"License: {UNKNOWN}.\n\n",
            "## Use\n\n    liverspleen predict model=PACKAGE input=CT.nii.gz output=labels\n",
        ]
    )


def _phantoms(package: Mapping[str, Any]) -> str:
    """Return the statement on a model that was trained on phantoms only; empty for another model."""
    if not package["phantoms_only"]:
        return ""
    if (tested := package.get(TESTED)) is None:
        return _PHANTOMS
    return (
        f"> **Trained on phantoms only.** This model was trained on phantoms only; {escaped(claim(tested))}.\n"
        "> All training cases are computed images, not scans of patients. See the results on CT scans that were not\n"
        "> used for training, and the limits.\n\n"
    )


def _members(members: Sequence[Mapping[str, Any]]) -> str:
    rows = ["## Members", "", "| folder | name | network | input slices | pixel | training cases | license | SHA-256 |"]
    rows.append("|---|---|---|---|---|---|---|---|")
    for number, member in enumerate(members, start=1):
        network, data = member["network"], member["training"]
        cells = (
            f"members/{number}",
            member["name"],
            " ".join(str(network[key]) for key in ("name", "encoder") if network.get(key)),
            member["slices"],
            _with_unit(member["pixel_mm"], "mm", "that of the CT"),
            data.get("cases") if isinstance(data, Mapping) else None,
            member["license"],
            member["sha256"],
        )
        rows.append(f"| {' | '.join(map(escaped, cells))} |")
    return "\n".join([*rows, "", ""])


def _not_taught(taught: Sequence[str]) -> str:
    if not (unknown := [key for key in ORGAN_KEYS if key not in taught]):
        return ""
    return (
        f"> **Taught {listed(keys=taught)} only.** No training label shows {listed('or', unknown)}, so it is unknown,\n"
        "> not absent, in all results of this model.\n\n"
    )


def escaped(value: Any) -> str:
    """Return untrusted text escaped for Markdown; empty text is "not recorded".

    >>> escaped("<b>a|b</b>")
    '&lt;b&gt;a&#124;b&lt;/b&gt;'
    """
    if value is None or value == "":
        return UNKNOWN
    return re.sub(r"[&<>|`*\[\]\\#!:]", _entity, one_line(value))


def _entity(found: re.Match[str]) -> str:
    return {"<": "&lt;", ">": "&gt;", "&": "&amp;"}.get(found[0], f"&#{ord(found[0])};")


def _front_matter(package: Mapping[str, Any]) -> str:
    license = str(package["license"] or "unknown").lower()
    phantoms = ["phantoms-only"] if package["phantoms_only"] else []
    tags = ["medical", "ct", *package["model"]["taught_organs"], "volumetry", *phantoms]
    lines = [f"license: {license}", "library_name: liverspleen", "pipeline_tag: image-segmentation", "tags:"]
    return "\n".join(["---", *lines, *(f"- {tag}" for tag in tags), "---", "", ""])


def _table(title: str, rows: Iterator[tuple[str, Any]]) -> str:
    lines = [f"| {escaped(name)} | {escaped(value)} |" for name, value in rows]
    return "\n".join([title, "", "| | |", "|---|---|", *lines, "", ""])


def _model(package: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    description = package["model"]
    network = {key: value for key, value in description["network"].items() if value is not None}
    window = description["window"]
    yield "network", network.pop("name", "deeplab")
    yield from ((f"{key.replace('_', ' ')}", value) for key, value in network.items())
    yield "input slices", description["slices"]
    yield "distance between input slices", _with_unit(description.get("slice_distance_mm"), "mm", "adjacent slices")
    yield "pixel size", _with_unit(description.get("pixel_mm"), "mm", "the CT's own")
    yield "window", f"{window['lower_hu']:g} to {window['upper_hu']:g} HU{', clipped' if window['clip'] else ''}"
    yield "labels", ", ".join(f"{value} {name}" for name, value in description["structures"].items())
    yield "organs taught", listed(keys=description["taught_organs"])
    yield "liverspleen version", description.get("version")
    yield "SHA-256 of the checkpoint", package["training"]["checkpoint_sha256"]


def _with_unit(value: Any, unit: str, otherwise: str) -> str:
    return otherwise if value is None else f"{value:g} {unit}"


def _data(description: Mapping[str, Any]) -> str:
    def counts(side: str, key: str) -> str:
        found = description.get(side)
        found = found.get(key) if isinstance(found, Mapping) else None
        return _counts(found) or (UNKNOWN if found is None else str(found))

    rows = ["## Data", "", "| | training | validation |", "|---|---|---|"]
    keys = ["cases", "patients", "organs", "conditions", "origins"]
    corrected = any(counts(side, "corrections") not in (UNKNOWN, "none") for side in ("training", "validation"))
    for key in [*keys, *(["corrections"] if corrected else [])]:
        rows.append(f"| {key} | {escaped(counts('training', key))} | {escaped(counts('validation', key))} |")
    hashes = [f"- SHA-256 of the {key}: {escaped(description.get(key))}" for key in ("cohort", "split")]
    return "\n".join([*rows, "", *hashes, "", ""])


def _training(package: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    training = package["training"]
    yield "planned steps", package["model"].get("steps")
    for group, values in (training["config"] or {"configuration": None}).items():
        if isinstance(values, Mapping):
            values = ", ".join(f"{key} {value}" for key, value in values.items() if value is not None)
        yield group.replace("_", " "), values
    yield "device", training["device"]
    yield "versions", ", ".join(f"{name} {version}" for name, version in (training["versions"] or {}).items())
    yield "commit", training["commit"]


def _ancestors(description: Mapping[str, Any]) -> str:
    """Return a table for each model that this one was started from, newest first."""
    models = description.get("ancestors") or []
    tables = [_table(f"### Start model {number}", _ancestor(model)) for number, model in enumerate(models, 1)]
    first = "The training did not start from random weights, but from those of the first model below."
    return "".join([f"## Start models\n\n{first}\n\n", *tables]) if models else ""


def _ancestor(model: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield "name", model.get("name")
    yield "SHA-256", model["sha256"]
    yield "license", model.get("license")
    yield "organs taught", listed(keys=model["taught_organs"])
    yield "origins of its training cases", _counts(model.get("origins"))
    yield "training cases", None if model.get("trained_on") is None else len(model["trained_on"]["cases"])
    yield "tensors", _counts(model.get("weights"))
    yield from ((f"SHA-256 of the {key}", model.get(key)) for key in ("cohort", "split"))


def _counts(found: Any) -> str | None:
    """Return numbers by name as text; None if they are not recorded."""
    if not isinstance(found, Mapping):
        return None
    return ", ".join(f"{name or UNKNOWN} {number}" for name, number in found.items()) or "none"


def _validation(package: Mapping[str, Any]) -> str:
    figures, curve = package.get("validation"), package["training"]["metrics"]
    lines = ["## Validation", ""]
    if figures:
        failed = f" {counted(figures['failed'], 'other case')} failed." if figures["failed"] else ""
        lines += [
            f"The results are of {counted(figures['cases'], 'case')} of the validation side of the split.{failed}",
            "DSS is per case in 3D on the CT's own grid. The volume bias is the mean of",
            "200 (predicted - reference) / (predicted + reference). All values are before postprocessing.",
            "",
            "| | n | mean DSS | lowest DSS | n of volumes | volume bias, % |",
            "|---|---|---|---|---|---|",
        ]
        for key in package["model"]["taught_organs"]:
            row = figures["structures"][key]
            scores = [row["dss_mean"], row["dss_lowest"]]
            shown = [UNKNOWN if score is None else f"{score:.3f}" for score in scores]
            bias = UNKNOWN if row["volume_bias_pct"] is None else f"{row['volume_bias_pct']:+.1f}"
            lines.append(f"| {key} | {row['n']} | {' | '.join(shown)} | {row['volume_n']} | {bias} |")
        lines.append("")
    if curve:
        best = ", ".join(f"{escaped(name)} {value:.3f}" for name, value in curve["best"].items())
        lines += [f"Best mean DSS during training, at step {curve['step']}: {best}.", ""]
    if not figures and not curve:
        lines += [f"Results: {UNKNOWN}.", ""]
    return "\n".join([*lines, ""])


def _tested(tested: Mapping[str, Any] | None) -> str:
    """Return the results on CT scans that were not used for training; empty if they are not recorded."""
    if tested is None:
        return ""
    lines = [
        "## Results on CT scans that were not used for training",
        "",
        f"{escaped(tested['on'])}, {counted(tested['cases'], 'case')} of {counted(tested['patients'], 'patient')}:",
        "design choices were checked on these cases, so the results may be too optimistic. Results on an independent\n"
        f"test set: {UNKNOWN}."
        if tested["design"]
        else "no design choice was checked on these cases.",
        "DSS is per case in 3D on the CT's own grid. An empty or missing prediction of an organ that is present has a",
        "DSS of 0. The interval of the mean is Student's t of the logit, clustered by patient. The 95 % prediction",
        f"interval is for the mean DSS of {tested['new_patients']} new patients from the same population.",
        "",
        "| | n | mean DSS | 95 % interval | prediction interval | lowest DSS | case | empty | missing | undefined |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for organ, row in tested["organs"].items():
        ranges = [_range(row[key]) for key in ("dss_mean_ci", "dss_prediction_interval")]
        cells = [row["n"], _score(row["dss_mean"]), *ranges, _score(row["dss_lowest"]), row["lowest_case"]]
        cells += [row[key] for key in ("empty", "missing", "undefined")]
        lines.append(f"| {organ} | {' | '.join(map(escaped, cells))} |")
    reasons = [f"{organ}: {escaped(row['reason'])}." for organ, row in tested["organs"].items() if row["reason"]]
    lines += ["", *reasons, *([""] if reasons else [])]
    return "\n".join([*lines, f"SHA-256 of the measurements: {escaped(tested['measurements_sha256'])}.", "", ""])


def _score(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"


def _range(bounds: Sequence[float] | None) -> str:
    return "undefined" if bounds is None else f"{bounds[0]:.3f} to {bounds[1]:.3f}"


def _limits(package: Mapping[str, Any]) -> str:
    of_phantoms = _LIMITS_OF_PHANTOMS if package["phantoms_only"] else ""
    unknown = "" if package.get(TESTED) else f"- Results on an independent test set: {UNKNOWN}.\n"
    return f"{_LIMITS.format(selection=_selection(package))}{of_phantoms}{unknown}\n"


def _selection(package: Mapping[str, Any]) -> str:
    checkpoint = package["training"]["checkpoint"]
    if checkpoint == "best.ckpt":
        return "The checkpoint (best.ckpt) was\n  selected on them, so the results on these cases are too optimistic."
    return f"The checkpoint file is\n  {escaped(checkpoint)}; only best.ckpt is selected on them."


def _postprocessing(choice: Mapping[str, Any] | None, taught: Sequence[str]) -> str:
    if not choice:
        return f"## Postprocessing\n\nNone. Its effect on validation cases is {UNKNOWN}.\n\n"
    lines = [
        "## Postprocessing",
        "",
        "Rule that the validation cases support, by structure; `none` does not change label maps.",
        "",
    ]
    for key in taught:
        evidence = choice["evidence"].get(key, {})
        values = ", ".join(f"{escaped(name)} {escaped(_short(value))}" for name, value in evidence.items())
        lines.append(f"- {key}: {escaped(choice['rules'].get(key, 'none'))} ({values or UNKNOWN})")
    return "\n".join([*lines, "", ""])


def _short(value: Any) -> Any:
    return f"{value:.4f}" if isinstance(value, float) else value


def _onnx(description: Mapping[str, Any] | None) -> str:
    if not description:
        return ""
    stride = description["multiple_of"]
    any_size = f"of any batch size, with height and width that are multiples of {stride}"
    sizes = any_size if description["any_size"] else f"of shape {description['size']}"
    return (
        f"## ONNX\n\nmodel.onnx takes input {escaped(sizes)}. On CT-like slices its logits differ from torch by at "
        f"most {description['max_logit_difference']:.2g} (SD of the logits {description['logit_sd']:.2g}), and "
        f"{description['label_voxels_that_differ']} of {description['label_voxels']} voxels have another label.\n\n"
    )
