"""A module of one's own brings tools, models and providers; one that cannot is one error message."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from streamchat.errors import SettingsError
from streamchat.settings import load_settings
from streamchat.wiring.build_models import build_catalog
from streamchat.wiring.user_modules import UserModules, load_user_modules

SOURCE = """
from streamchat import Source, model, provider, tool

@tool
async def roll(sides: int = 6) -> int:
    "Roll a die."
    return sides

@model(label="Loud echo")
async def {name}(request):
    "Says it louder."
    yield request.text.upper()

again = {name}

@provider
def own(settings):
    assert settings.connect_timeout
    return Source("own-{name}", None, open_ended=True)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    modules = dict(sys.modules)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*sys.path])
    for name in ("STREAMCHAT_MODULES", "STREAMCHAT_TOOLS", "STREAMCHAT_MODELS"):
        monkeypatch.delenv(name, raising=False)
    yield tmp_path
    for name in set(sys.modules) - set(modules):
        del sys.modules[name]


def loaded(monkeypatch: pytest.MonkeyPatch, setting: str, value: str) -> UserModules:
    monkeypatch.setenv(setting, value)
    return load_user_modules(load_settings(), [])


@pytest.mark.parametrize("setting", ["STREAMCHAT_MODULES", "STREAMCHAT_TOOLS"])
@pytest.mark.parametrize("way", ["mine", "mine.py", "sub/mine.py", "absolute"])
def test_a_module_is_found_by_name_or_file(folder: Path, monkeypatch, setting: str, way: str) -> None:
    """Each object once, also if it has two names; a file is found in its folder, with its neighbours."""
    place = folder / "sub" if "/" in way else folder
    place.mkdir(exist_ok=True)
    (place / "beside.py").write_text("X = 1")
    (place / "mine.py").write_text("import beside\n" + SOURCE.format(name="loud"))
    value = str(folder / "mine.py") if way == "absolute" else way
    found = loaded(monkeypatch, setting, value)
    assert [tool.name for tool in found.tools] == ["roll"]
    assert [model.info.id for model in found.models] == ["python:loud"]
    assert [one.name for one in found.providers] == ["own"]
    assert (found.models[0].info.label, found.models[0].info.note) == ("Loud echo", "Says it louder.")
    assert found.models[0] is load_user_modules(load_settings(), []).models[0]


def test_own_models_come_first_and_providers_are_registered(folder: Path, monkeypatch) -> None:
    """The default model is one's own; a provider of one's own takes any model name."""
    (folder / "mine.py").write_text(SOURCE.format(name="loud"))
    monkeypatch.setenv("STREAMCHAT_MODULES", "mine")
    catalog = build_catalog(load_settings())
    assert catalog.default == "python:loud"
    assert catalog.info("own-loud:anything").id == "own-loud:anything"


def test_names_are_unique(folder: Path, monkeypatch) -> None:
    """Two models, or two providers, of one name stop the start."""
    (folder / "one.py").write_text("from streamchat import model\n@model\ndef same(request): ...")
    (folder / "two.py").write_text("from streamchat import model\n@model\ndef same(request): ...")
    monkeypatch.setenv("STREAMCHAT_MODULES", "one,two")
    with pytest.raises(SettingsError, match="Two models have the name 'same'"):
        build_catalog(load_settings())
    clash = "from streamchat import Source, provider\n@provider\ndef x(settings): return Source('openai', None)"
    (folder / "three.py").write_text(clash)
    monkeypatch.setenv("STREAMCHAT_MODULES", "three")
    with pytest.raises(SettingsError, match="Two providers have the name 'openai'"):
        build_catalog(load_settings())


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (None, "ModuleNotFoundError"),
        ("x = 1", "no function with @tool, @model or @provider"),
        ("raise SystemExit('CRASH')", "SystemExit: CRASH"),
        ("def (", "SyntaxError"),
        ("from streamchat import tool\n@tool\ndef f(x): ...", "parameter x has no type"),
        ("from streamchat import model\n@model\ndef f(): ...", "takes one argument"),
        ("from streamchat import model\n@model\ndef f(a, b): ...", "takes one argument"),
        ("from streamchat import model\n@model(name='a b')\ndef f(a): ...", "'a b' is not a name"),
        ("from streamchat import model\nx = model(3)", "belongs on a function"),
        ("from streamchat import nothing", "cannot import name 'nothing'"),
    ],
)
def test_a_module_that_does_not_load_stops_the_start(folder: Path, monkeypatch, source: str | None, told: str) -> None:
    """With one sentence that names the setting and the module, by its name and as a file."""
    if source is not None:
        (folder / "broken.py").write_text(source)
    with pytest.raises(SettingsError, match=told) as caught:
        loaded(monkeypatch, "STREAMCHAT_MODULES", "broken")
    assert caught.value.user_message.startswith("STREAMCHAT_MODULES: 'broken'")
    assert "\n" not in caught.value.user_message
    with pytest.raises(SettingsError, match=told if source else "no such file"):
        loaded(monkeypatch, "STREAMCHAT_MODULES", "broken.py")


def test_a_file_named_as_a_module_in_use_is_refused(folder: Path, monkeypatch) -> None:
    """It would take the place of the other one."""
    (folder / "json.py").write_text(SOURCE.format(name="x"))
    with pytest.raises(SettingsError, match="another module has the name 'json'"):
        loaded(monkeypatch, "STREAMCHAT_MODULES", "json.py")


def test_installed_packages(folder: Path, monkeypatch) -> None:
    """An entry point names a module, or one object in it."""
    monkeypatch.syspath_prepend(folder)
    (folder / "my_package.py").write_text(SOURCE.format(name="loud"))
    points = [EntryPoint("a", "my_package", "streamchat"), EntryPoint("b", "my_package:roll", "streamchat.tools")]
    found = load_user_modules(load_settings(), points)
    assert [tool.name for tool in found.tools] == ["roll"]
    assert [model.name for model in found.models] == ["loud"]
    with pytest.raises(SettingsError, match="'c'"):
        load_user_modules(load_settings(), [EntryPoint("c", "nowhere:roll", "streamchat")])
