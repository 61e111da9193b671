"""Format numbers of the files that this package writes and reads again; the first thing that is checked on reading.

A number is raised when a file of that kind changes its meaning. From the numbers of version 0.1.0 on (these), a later
version reads the earlier ones, or the CHANGELOG names the version that converts them. `docs/reference/formats.md` is
the page about them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from liverspleen.errors import InputError, Issue


@dataclass(frozen=True)
class Format:
    """A kind of file: its name, the number that is written and read, and what to do about a file of another number."""

    kind: str
    number: int
    remedy: str

    def issue(self, found: object, file: str | Path | None = None, *, case_id: str | None = None) -> Issue | None:
        """LS-FMT-001 if `found`, the number that a file states, is not the number that is read; None if it is.

        >>> print(Format("sidecar", 1, "predict again").issue(2, "a.json"))
        LS-FMT-001 file 'a.json': sidecar of format 2, expected 1; made by another version of liverspleen: predict again
        >>> Format("sidecar", 1, "predict again").issue(None).message
        'sidecar without a format number, expected 1'
        """
        if type(found) is int and found == self.number:  # True is no number
            return None
        stated = "without a format number" if found is None else f"of format {found!r:.40}"
        message, hint = f"{self.kind} {stated}, expected {self.number}", self.remedy
        return Issue("LS-FMT-001", message, f"made by another version of liverspleen: {hint}", case_id, file)

    def check(self, found: object, file: str | Path | None = None, *, case_id: str | None = None) -> None:
        """Raise what `issue` finds.

        Raises:
            InputError: LS-FMT-001.
        """
        if issue := self.issue(found, file, case_id=case_id):
            raise InputError(issue)


# 1: a hash of the whole configuration in place of the record that a resumed training is compared with. 2: input slices
# were called sections.
CHECKPOINT = Format("checkpoint", 3, "train again, or use that version")

# 1: its description was bundle.json, and input slices were called sections.
MODEL_PACKAGE = Format("model package", 2, "export the model again")

# 1 to 3: the number was "version" in case.json alone; 3 added the pixel size. 4: notes of test cases have the number,
# too. 5: the array of a case is slices.npy.
SLICE_CACHE = Format(
    "slice cache", 5, "choose another cache=, or remove such cases by liverspleen prepare action=prune"
)

# 1: sidecars and rejections of `predict`.
SIDECAR = Format("sidecar", 1, "predict again, into another output=")

# 1: the slices of Figure 3 were called sections.
REPORT = Format("report.json", 2, "write the report again")

# 1: recorded the keys slices.sections and slices.section_distance_mm.
STUDY = Format("study", 2, "sweep again, with another output= or study=")
