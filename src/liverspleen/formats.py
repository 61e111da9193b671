"""Format numbers of the files that this package writes and reads; they are checked before the rest of a file.

A number increases when a file of that kind changes its meaning. Starting with version 0.1.0 (these numbers), a later
version reads the earlier formats, or the CHANGELOG gives the version that converts them. `docs/reference/formats.md`
describes the formats.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from liverspleen.errors import InputError, Issue


@dataclass(frozen=True)
class Format:
    """A kind of file: its name, the format number, and the hint for files of another number."""

    kind: str
    number: int
    hint: str

    def issue(self, found: object, file: str | Path | None = None, *, case_id: str | None = None) -> Issue | None:
        """Return LS-FMT-001 if `found`, the number in a file, is not the number that is read; None if it is.

        >>> print(Format("sidecar", 1, "predict again").issue(2, "a"))
        LS-FMT-001 file 'a': sidecar of format 2, expected 1; predict again (written by another version of liverspleen)
        >>> Format("sidecar", 1, "predict again").issue(None).message
        'sidecar without a format number, expected 1'
        """
        if type(found) is int and found == self.number:  # True is not a number here
            return None
        stated = "without a format number" if found is None else f"of format {found!r:.40}"
        message = f"{self.kind} {stated}, expected {self.number}"
        hint = f"{self.hint} (written by another version of liverspleen)"
        return Issue("LS-FMT-001", message, hint, case_id, file)

    def check(self, found: object, file: str | Path | None = None, *, case_id: str | None = None) -> None:
        """Raise the issue that `issue` returns.

        Raises:
            InputError: LS-FMT-001.
        """
        if issue := self.issue(found, file, case_id=case_id):
            raise InputError(issue)


# 1: a hash of the whole configuration in place of the record that a resumed training is compared with. 2: input slices
# were called sections. 3: without the organs that the training labels show. 4: without a checksum and the number of
# threads.
CHECKPOINT = Format("checkpoint", 5, "train again, or use that version")

# 1: its description had another file name, and input slices were called sections. 2: model.json had no checksum.
MODEL_PACKAGE = Format("model package", 3, "export the model again")

ENSEMBLE_PACKAGE = Format("ensemble package", 1, "export the ensemble again")

# 1 to 3: the number was "version" in case.json alone; 3 added the pixel size. 4: notes of test cases also have the
# number. 5: the array of a case is slices.npy. 6: case.json and notes have a checksum of their own, and case.json has
# warnings about the CT, whose values were not checked before.
SLICE_CACHE = Format(
    "slice cache", 6, "choose another cache=, or remove such cases by liverspleen prepare action=prune"
)

# Sidecars and rejections of `predict`. 1: without a checksum and without warnings about the CT.
SIDECAR = Format("sidecar", 2, "predict again, into another output=")

# Histories of cases in a correction folder.
CORRECTION = Format("correction", 1, "import it with that version")

# 1: the slices of Figure 3 were called sections.
REPORT = Format("report.json", 2, "write the report again")

# 1: recorded the keys slices.sections and slices.section_distance_mm. 2: identity and trials had no checksum.
STUDY = Format("study", 3, "sweep again, with another output= or study=")
