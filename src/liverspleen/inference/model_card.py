"""The model card of a model package: Markdown with a YAML head, as on Hugging Face, filled from what was recorded."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from liverspleen.errors import one_line
from liverspleen.organs import ORGAN_KEYS

UNKNOWN = "not recorded"

_PHANTOMS = """\
> **TRAINED ON PHANTOMS ONLY.** Every case this model has learnt from was computed, not scanned. It shows how the
> software works. On CT of patients its label maps and volumes mean nothing.

"""
_LIMITS = """\
## Limits

- Research use only. Not a medical device: nothing here may guide diagnosis or treatment.
- It knows what it was trained on: portal venous CT of adults is what the software is made for. Other phases, contrast
  doses, scanners, children, and organs after surgery are as good as the cases above make them.
- Label maps are not checked by a reader. Each volume comes with a status; look at what is not `ok`, and at the cases
  that the review list puts first.
- Validation cases come from the same source as the training cases, and {chosen}.
- Figures of an independent test set: {unknown}.

"""


def model_card(package: Mapping[str, Any]) -> str:
    """The card of a model package, from the content of its model.json; what is unknown reads "not recorded"."""
    return "".join(
        [
            _front_matter(package),
            f"# {escaped(package['name'])}\n\n",
            "Liver and spleen segmentation on CT, a model of liverspleen, after\n"
            "[Ahn et al., Korean J Radiol 2020](https://doi.org/10.3348/kjr.2020.0237).\n\n",
            _PHANTOMS if package["phantoms_only"] else "",
            "**Research use only. Not a medical device.**\n\n",
            _table("## What it is", _what(package)),
            _sides(package["model"]),
            _table("## How it was trained", _how(package)),
            _validation(package),
            _postprocessing(package.get("postprocessing")),
            _onnx(package.get("onnx")),
            _LIMITS.format(chosen=_chosen(package), unknown=UNKNOWN),
            "## License\n\n",
            f"{escaped(package['license'])}; see LICENSE.\n\n" if package["license"] else f"License: {UNKNOWN}.\n\n",
            "## Use\n\n    liverspleen predict model=PACKAGE input=CT.nii.gz output=labels\n",
        ]
    )


def escaped(value: Any) -> str:
    """Foreign text as Markdown that shows it and does nothing else; empty text is "not recorded".

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
    tags = ["medical", "ct", *ORGAN_KEYS, "volumetry", *(["phantoms-only"] if package["phantoms_only"] else [])]
    lines = [f"license: {license}", "library_name: liverspleen", "pipeline_tag: image-segmentation", "tags:"]
    return "\n".join(["---", *lines, *(f"- {tag}" for tag in tags), "---", "", ""])


def _table(title: str, rows: Iterator[tuple[str, Any]]) -> str:
    lines = [f"| {escaped(name)} | {escaped(value)} |" for name, value in rows]
    return "\n".join([title, "", "| | |", "|---|---|", *lines, "", ""])


def _what(package: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    about = package["model"]
    network = {key: value for key, value in about["network"].items() if value is not None}
    window = about["window"]
    yield "network", network.pop("name", "deeplab")
    yield from ((f"{key.replace('_', ' ')}", value) for key, value in network.items())
    yield "neighbouring slices in", about["slices"]
    yield "distance of neighbours", _with_unit(about.get("slice_distance_mm"), "mm", "adjacent slices")
    yield "pixel size", _with_unit(about.get("pixel_mm"), "mm", "the CT's own")
    yield "window", f"{window['lower_hu']:g} to {window['upper_hu']:g} HU{', clipped' if window['clip'] else ''}"
    yield "labels", ", ".join(f"{value} {name}" for name, value in about["structures"].items())
    yield "version of liverspleen", about.get("version")
    yield "SHA-256 of the checkpoint", package["training"]["checkpoint_sha256"]


def _with_unit(value: Any, unit: str, otherwise: str) -> str:
    return otherwise if value is None else f"{value:g} {unit}"


def _sides(about: Mapping[str, Any]) -> str:
    def counts(side: str, key: str) -> str:
        found = about.get(side)
        found = found.get(key) if isinstance(found, Mapping) else None
        if isinstance(found, Mapping):
            return ", ".join(f"{name or UNKNOWN} {number}" for name, number in found.items()) or "none"
        return UNKNOWN if found is None else str(found)

    rows = ["## What it was trained on", "", "| | training | validation |", "|---|---|---|"]
    for key in ("cases", "patients", "conditions", "origins"):
        rows.append(f"| {key} | {escaped(counts('training', key))} | {escaped(counts('validation', key))} |")
    hashes = [f"- SHA-256 of the {key}: {escaped(about.get(key))}" for key in ("cohort", "split")]
    return "\n".join([*rows, "", *hashes, "", ""])


def _how(package: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    training = package["training"]
    yield "steps planned", package["model"].get("steps")
    for group, chosen in (training["config"] or {"configuration": None}).items():
        if isinstance(chosen, Mapping):
            chosen = ", ".join(f"{key} {value}" for key, value in chosen.items() if value is not None)
        yield group.replace("_", " "), chosen
    yield "device", training["device"]
    yield "seconds of the last run", training["seconds"]
    yield "versions", ", ".join(f"{name} {version}" for name, version in (training["versions"] or {}).items())
    yield "commit", training["commit"]


def _validation(package: Mapping[str, Any]) -> str:
    figures, curve = package.get("validation"), package["training"]["metrics"]
    lines = ["## Validation", ""]
    if figures:
        failed = f"; {figures['failed']} more could not be read or segmented" if figures["failed"] else ""
        lines += [
            f"{figures['cases']} cases of the split's validation side{failed}. DSS per case in 3D on the CT's own",
            "grid; bias of volumes is the mean of 200 (predicted - reference) / (predicted + reference). All before",
            "postprocessing.",
            "",
            "| | n | mean DSS | lowest DSS | n of volumes | volume bias, % |",
            "|---|---|---|---|---|---|",
        ]
        for key in ORGAN_KEYS:
            row = figures["structures"][key]
            scores = [row["dss_mean"], row["dss_lowest"]]
            shown = [UNKNOWN if score is None else f"{score:.3f}" for score in scores]
            bias = UNKNOWN if row["volume_bias_pct"] is None else f"{row['volume_bias_pct']:+.1f}"
            lines.append(f"| {key} | {row['n']} | {' | '.join(shown)} | {row['volume_n']} | {bias} |")
        lines.append("")
    if curve:
        best = ", ".join(f"{escaped(name)} {value:.3f}" for name, value in curve["best"].items())
        lines += [f"While it was trained, best mean DSS at step {curve['step']}: {best}.", ""]
    if not figures and not curve:
        lines += [f"Figures: {UNKNOWN}.", ""]
    return "\n".join([*lines, ""])


def _chosen(package: Mapping[str, Any]) -> str:
    if package["training"]["checkpoint"] == "best.ckpt":
        return "the checkpoint was chosen on them (best.ckpt), so their figures are too good"
    return "whether the checkpoint was chosen on them depends on its name (best.ckpt is)"


def _postprocessing(choice: Mapping[str, Any] | None) -> str:
    if not choice:
        return f"## Postprocessing\n\nNone; whether some would help is {UNKNOWN}.\n\n"
    lines = [
        "## Postprocessing",
        "",
        "What the validation cases speak for, by structure; `none` leaves label maps be.",
        "",
    ]
    for key in ORGAN_KEYS:
        evidence = choice["evidence"].get(key, {})
        told = ", ".join(f"{escaped(word)} {escaped(_short(value))}" for word, value in evidence.items())
        lines.append(f"- {key}: {escaped(choice['rules'].get(key, 'none'))} ({told or UNKNOWN})")
    return "\n".join([*lines, "", ""])


def _short(value: Any) -> Any:
    return f"{value:.4f}" if isinstance(value, float) else value


def _onnx(about: Mapping[str, Any] | None) -> str:
    if not about:
        return ""
    stride = about["multiple_of"]
    sizes = f"any batch, height and width that are multiples of {stride}" if about["any_size"] else f"{about['size']}"
    return (
        f"## ONNX\n\nmodel.onnx takes {escaped(sizes)}. Against torch, on CT-like slices, its logits differ by at "
        f"most {about['max_logit_difference']:.2g} (SD of the logits {about['logit_sd']:.2g}) and "
        f"{about['label_voxels_that_differ']} of {about['label_voxels']} label voxels.\n\n"
    )
