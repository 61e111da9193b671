"""Update NiiVue, which draws the slices of a report: `python .ci/niivue.py 0.69.0` (needs npm).

The file and the licenses of NiiVue and of the packages inside it are copied from npm to src/liverspleen/pages/niivue/.
Then enter the printed version and hash in tests/evaluation/reporting/test_page_parts.py, and run the browser tests.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "src/liverspleen/pages/niivue"
PACKAGE = "@niivue/niivue"
NOT_INSIDE = ("@rollup/", PACKAGE)  # a tool that builds NiiVue; NiiVue itself, whose package has no license file
LINE = "\n" + "-" * 80 + "\n\n"


def licenses(modules: Path) -> list[str]:
    """Return name, version and license of each package inside NiiVue."""
    found = []
    for record in sorted([*modules.glob("[!@.]*/package.json"), *modules.glob("@*/*/package.json")]):
        package = json.loads(record.read_text(encoding="utf-8"))
        if not package["name"].startswith(NOT_INSIDE):
            (text,) = (path for path in record.parent.iterdir() if path.name.lower().startswith("license"))
            heading = f"{package['name']} {package['version']} ({package['license']})"
            found.append(f"{heading}\n\n{text.read_text(encoding='utf-8').strip()}\n")
    return found


def main(version: str) -> None:
    """Copy this version of NiiVue."""
    own = (FOLDER / "LICENSE.txt").read_text(encoding="utf-8").split(LINE)[0]
    with tempfile.TemporaryDirectory() as folder:
        install = ["npm", "install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", folder]
        subprocess.run([*install, f"{PACKAGE}@{version}"], check=True)
        modules = Path(folder) / "node_modules"
        content = (modules / PACKAGE / "dist/niivue.umd.js").read_bytes()
        texts = licenses(modules)
    (FOLDER / "niivue.umd.js").write_bytes(content)
    (FOLDER / "LICENSE.txt").write_text(LINE.join([own.strip() + "\n", *texts]), encoding="utf-8")
    print(f"{version} {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main(sys.argv[1])
