"""Loads pydicom without gdcm; to be imported before nibabel, which loads pydicom too.

pydicom imports gdcm where it is installed, and python-gdcm fails to import in any working directory that holds a folder
named `dl`. None in its place makes that import fail as if it were not installed.
"""

import sys
from importlib import import_module

_HIDDEN = "gdcm" not in sys.modules
if _HIDDEN:
    sys.modules["gdcm"] = None  # type: ignore[assignment]
for _name in ("pydicom", "pydicom.pixels.decoders", "pydicom.pixels.encoders"):
    import_module(_name)
if _HIDDEN:
    del sys.modules["gdcm"]
