"""What the operator's settings make of the look of the page, and what a browser needs to install it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streamchat.errors import SettingsError
from streamchat.settings import load_settings
from tests.integration.web.conftest import MakeApi

SVG = '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


async def test_without_settings_everything_is_built_in(make_api: MakeApi) -> None:
    """The script tells nothing, the styles change no colour, and the logo is ours."""
    async with make_api() as api:
        script = (await api.client.get("/look/look.js")).text
        assert script.startswith("window.streamchat={};\n")
        assert "--accent" not in (await api.client.get("/look/look.css")).text
        logo = await api.client.get("/look/logo")
        assert (logo.headers["content-type"], logo.content[:4]) == ("image/svg+xml", b"<svg")


async def test_the_page_can_be_installed(make_api: MakeApi) -> None:
    """The manifest has a name, a start within its scope, and icons of 192 and 512 pixels that are there."""
    async with make_api(STREAMCHAT_APP_NAME="Acme Assistant") as api:
        answer = await api.client.get("/look/manifest.webmanifest")
        assert answer.headers["content-type"] == "application/manifest+json"
        manifest = answer.json()
        assert (manifest["name"], manifest["display"]) == ("Acme Assistant", "standalone")
        assert (manifest["start_url"], manifest["scope"]) == ("../", "../")
        assert {"192x192", "512x512"} <= {icon["sizes"] for icon in manifest["icons"]}
        for icon in manifest["icons"]:
            found = await api.client.get(f"/look/{icon['src']}")
            assert (found.status_code, found.headers["content-type"]) == (200, icon["type"])
        assert (await api.client.get("/look/touch-180.png")).status_code == 200
        assert (await api.client.get("/look/icon-180.png")).status_code == 404


async def test_name_logo_accent_language_and_prompts_are_the_operators(make_api: MakeApi, tmp_path: Path) -> None:
    """What is set is told; a name cannot end the script, and a logo runs none."""
    logo, prompts = tmp_path / "logo.svg", tmp_path / "prompts.json"
    logo.write_text(SVG)
    prompts.write_text(json.dumps([{"label": "Mine", "text": "Ask this", "model": "simulator:tour"}]))
    async with make_api(
        STREAMCHAT_APP_NAME="</script>Acme",
        STREAMCHAT_LOGO=str(logo),
        STREAMCHAT_ACCENT="#7c3aed",
        STREAMCHAT_LANGUAGE="de",
        STREAMCHAT_SUGGESTIONS=str(prompts),
    ) as api:
        script = (await api.client.get("/look/look.js")).text
        assert "</script>" not in script
        look = json.loads(script.split("\n")[0].removeprefix("window.streamchat=").removesuffix(";"))
        assert look == {
            "name": "</script>Acme",
            "language": "de",
            "suggestions": [{"label": "Mine", "text": "Ask this", "model": "simulator:tour"}],
        }
        assert "--accent:#7c3aed" in (await api.client.get("/look/look.css")).text
        found = await api.client.get("/look/logo")
        assert (found.text, found.headers["content-type"]) == (SVG, "image/svg+xml")
        assert "script-src" not in found.headers["content-security-policy"]
        assert "default-src 'none'" in found.headers["content-security-policy"]
        assert (await api.client.get("/look/manifest.webmanifest")).json()["icons"] == [
            {"src": "logo", "sizes": "any", "type": "image/svg+xml"}
        ]


async def test_the_look_is_there_before_the_sign_in_and_tells_no_prompt(make_api: MakeApi) -> None:
    """The form has the operator's name; the system prompt is nowhere."""
    async with make_api(
        STREAMCHAT_ACCOUNTS="invite", STREAMCHAT_APP_NAME="Acme", STREAMCHAT_SYSTEM_PROMPT="the secret prompt"
    ) as api:
        for path in ("look.js", "look.css", "logo", "manifest.webmanifest", "icon-192.png"):
            answer = await api.client.get(f"/look/{path}")
            assert answer.status_code == 200
            assert b"secret" not in answer.content
        form = (await api.client.get("/sign-in")).text
        assert "Acme" in form
        assert "streamchat" not in form


async def test_a_new_conversation_has_the_operators_prompt(make_api: MakeApi) -> None:
    """Unless it has one of its own; a conversation that is there keeps what it has."""
    async with make_api(STREAMCHAT_SYSTEM_PROMPT="Speak like an owl.") as api:

        async def prompt_of(**more: str) -> tuple[str | None, str]:
            answer = (await api.client.post("/api/runs", json={"message": "hi", **more})).json()
            api.provider.say(None)
            await api.world.ended(answer["run_id"])
            stored = (await api.client.get(f"/api/conversations/{answer['conversation_id']}")).json()
            return stored["system"], answer["conversation_id"]

        prompt, conversation = await prompt_of()
        assert prompt == "Speak like an owl."
        assert (await prompt_of(system="Speak like a cat."))[0] == "Speak like a cat."
        await api.client.patch(f"/api/conversations/{conversation}", json={"system": None})
        assert (await prompt_of(conversation_id=conversation))[0] is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STREAMCHAT_ACCENT", "teal"),
        ("STREAMCHAT_LANGUAGE", "fr"),
        ("STREAMCHAT_LOGO", "/no/such/logo.svg"),
        ("STREAMCHAT_SUGGESTIONS", "/no/such/prompts.json"),
        ("STREAMCHAT_APP_NAME", "x" * 100),
    ],
)
def test_a_wrong_setting_of_the_look_stops_the_start(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """With an error message that names it."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert name in str(raised.value)
