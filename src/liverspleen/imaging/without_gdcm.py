"""Import of pydicom without gdcm; this module must be imported before nibabel, which imports pydicom too.

pydicom imports gdcm if it is installed, and python-gdcm cannot be imported in a working directory that holds a folder
named `dl`. With None in `sys.modules`, that import fails as if gdcm were not installed.
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
