"""``scripts/setup`` installs exactly what is locked, whatever else the index offers."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.system.setup.conftest import ROOT, Project, copying, make_empty, stub
from tests.system.setup.package_index import PackageIndex, wheel

PARTS = ("app", "dev", "local")


def publish(index: PackageIndex, version: str) -> str:
    """Three packages, of which one wants another one with an extra, as a lock that has them by name only."""
    return (
        index.add("alpha", version, wheel("alpha", version, (f"beta[fast]>={version}",)))
        + index.add("beta", version, wheel("beta", version, ('gamma>=1.0; extra == "fast"',), ("fast",)))
        + index.add("gamma", version, wheel("gamma", version))
    )


def test_newer_releases_change_nothing(project: Project, index: PackageIndex):
    """With newer releases of three locked packages on the index, the locked ones are installed, and then nothing is."""
    project.lock("app", publish(index, "1.0"))
    publish(index, "1.5")
    assert "Installing" in project.succeeds("app")
    assert project.installed() == {"alpha": "1.0", "beta": "1.0", "gamma": "1.0"}
    before = list(index.requests)
    assert project.succeeds("app") == ""
    assert index.requests == before, "what is installed is not asked for again"


def test_a_fresh_checkout_gets_all_parts(bare: Project, index: PackageIndex):
    """From nothing: the environment is made, and every part installed as it is locked, by one call; by the next one
    nothing is."""
    for part, name in zip(PARTS, ("alpha", "beta", "gamma"), strict=True):
        bare.lock(part, index.add(name, "1.0", wheel(name, "1.0")))
        index.add(name, "2.0", wheel(name, "2.0"))
    said = bare.succeeds(*PARTS)
    assert said.splitlines()[0].startswith("Creating")
    assert bare.installed() == {"alpha": "1.0", "beta": "1.0", "gamma": "1.0"}
    before = list(index.requests)
    assert bare.succeeds(*PARTS) == ""
    assert index.requests == before, "what is installed is not asked for again"


def test_a_new_lock_is_installed(project: Project, index: PackageIndex):
    """A lock that has changed is installed by the next call, both to newer and to older versions."""
    old = publish(index, "1.0")
    new = publish(index, "1.5")
    for lock, version in ((old, "1.0"), (new, "1.5"), (old, "1.0")):
        project.lock("app", lock)
        project.succeeds("app")
        assert project.installed() == dict.fromkeys(("alpha", "beta", "gamma"), version)


def test_what_an_older_lock_left_behind_is_no_obstacle(project: Project, index: PackageIndex):
    """A package that is no longer locked and contradicts the new lock: all parts are installed afresh."""
    holder = index.add("holder", "1.0", wheel("holder", "1.0", ("alpha<2",)))
    project.lock("app", index.add("alpha", "1.0", wheel("alpha", "1.0")) + holder)
    project.lock("local", index.add("weights", "1.0", wheel("weights", "1.0")))
    project.succeeds("app", "local")
    project.lock("app", index.add("alpha", "2.0", wheel("alpha", "2.0")))
    project.succeeds("app", "local")
    assert project.installed() == {"alpha": "2.0", "weights": "1.0"}


def test_a_lock_with_a_hole_is_refused(project: Project, index: PackageIndex):
    """A dependency that is in no lock is not fetched: the set-up stops, and is not taken for done."""
    project.lock("app", index.add("alpha", "1.0", wheel("alpha", "1.0", ("beta",))))
    index.add("beta", "1.0", wheel("beta", "1.0"))
    assert "requirements/app.txt do not fit together" in project.refuses("app")
    assert not (project.folder / ".venv" / ".app").exists()
    assert "requires beta, which is not installed" in (project.folder / ".venv" / "setup.log").read_text()


def test_what_the_weights_declare_is_left_out_on_purpose(project: Project, index: PackageIndex):
    """The embedded model's package wants engines that are not installed; the checks of all parts know that."""
    project.lock("local", index.add("weights", "1.0", wheel("weights", "1.0", ("llm", "llama-cpp-python"))))
    project.lock("dev", index.add("alpha", "1.0", wheel("alpha", "1.0")))
    project.succeeds("local")
    project.succeeds("dev")
    assert project.installed() == {"weights": "1.0", "alpha": "1.0"}


def test_a_users_own_pip_settings_do_not_get_in_the_way(project: Project, index: PackageIndex, tmp_path: Path):
    """Settings that send packages elsewhere, and a PYTHONPATH that has one of them already, change nothing."""
    project.lock("app", publish(index, "1.0"))
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "alpha-1.0.dist-info").mkdir(parents=True)
    (elsewhere / "alpha-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: alpha\nVersion: 1.0\n")
    project.succeeds("app", PIP_USER="1", PIP_TARGET=str(elsewhere), PIP_QUIET="3", PYTHONPATH=str(elsewhere))
    assert project.installed() == {"alpha": "1.0", "beta": "1.0", "gamma": "1.0"}


@pytest.mark.parametrize("keeps", [True, False], ids=["kept", "not kept"])
def test_packages_are_compiled_by_imports_that_keep_it(keeps: bool, project: Project, index: PackageIndex):
    """Compiling all of them is a sixth of an installation; only if imports may not keep it each start would do it."""
    project.lock("app", publish(index, "1.0"))
    project.succeeds("app", PYTHONDONTWRITEBYTECODE="" if keeps else "1")
    assert bool(list(project.site.glob("__pycache__/alpha.*"))) != keeps


OWN = f"{sys.version_info.major}.{sys.version_info.minor}"


def interpreters() -> dict[str, str]:
    """A Python of each supported version that is on this machine, by version."""
    folders = [Path("/usr/bin"), Path("/usr/local/bin"), *Path.home().glob(".pyenv/versions/*/bin")]
    found = {OWN: sys.executable}
    for version in ("3.11", "3.12", "3.13"):
        for folder in folders:
            python = folder / f"python{version}"
            if (
                python.exists()
                and subprocess.run([python, "-c", "import ensurepip"], capture_output=True).returncode == 0
            ):
                found.setdefault(version, str(python))
    return found


@pytest.mark.parametrize("which", ["own", "another"])
def test_the_python_asked_for_is_the_one(which: str, project: Project, index: PackageIndex, tmp_path: Path):
    """``PYTHON=`` makes the environment anew if it has another one, and only then; without it any is kept."""
    found = interpreters()
    version = OWN if which == "own" else max((other for other in found if other != OWN), default=OWN)
    if version not in found or (which == "another" and version == OWN):
        pytest.skip("no such Python on this machine")
    python = Path(found[version])
    if which == "another":
        make_empty(tmp_path / "another", str(python))
        stub(project, "another", copying(tmp_path / "another", str(python)))
        python = project.folder / "stubs" / "another"
    project.lock("app", publish(index, "1.0"))
    said = project.succeeds("app", PYTHON=str(python))
    assert ("Creating" in said) == (which == "another")
    assert project.site.parent.name == f"python{version}"
    assert project.installed() == {"alpha": "1.0", "beta": "1.0", "gamma": "1.0"}
    assert project.succeeds("app", PYTHON=str(python)) == ""
    assert project.succeeds("app") == ""


def locked(name: str) -> dict[str, Requirement]:
    """The requirements of a lock of this project's, by canonical name."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text().replace("\\\n", " ")
    lines = [line.partition(" --hash")[0] for line in text.splitlines() if line and line[0] not in "# "]
    return {canonicalize_name(requirement.name): requirement for requirement in map(Requirement, lines)}


@pytest.mark.parametrize("part", ["pip", *PARTS])
def test_every_lock_pins_one_version_with_hashes(part: str):
    """Each line of a lock is one exact version with its hashes, and names no address."""
    text = (ROOT / "requirements" / f"{part}.txt").read_text()
    entries = re.split(r"\n(?=[a-z0-9])", text.partition("\n\n")[0])[1:]
    assert len(entries) == len(locked(part)) > 0
    for entry in entries:
        assert re.match(r"[\w.-]+(\[[\w,-]+\])?==[\w.]+ ", entry), entry
        assert "--hash=sha256:" in entry
    assert "://" not in text


@pytest.mark.parametrize("part", ["app", "dev"])
def test_the_locks_keep_extras(part: str):
    """What a locked package wants with an extra is locked with it: pip would otherwise look for it again."""
    lock = locked(part)
    wanted = 0
    for name in lock:
        try:
            declared = [Requirement(line) for line in requires(name) or ()]
        except PackageNotFoundError:
            continue  # it is for another platform
        for requirement in declared:
            if requirement.extras and (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
                wanted += 1
                extras = {canonicalize_name(extra) for extra in requirement.extras}
                assert extras <= lock[canonicalize_name(requirement.name)].extras, (name, requirement)
    assert wanted > 0


def test_the_locks_of_the_page_name_no_address():
    """Where the packages come from is the user's setting, not the lock's."""
    for path in ("bun.lock", "reflex.lock/bun.lock"):
        assert "sha512-" in (ROOT / path).read_text()
        assert "://" not in (ROOT / path).read_text(), path
