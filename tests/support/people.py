"""People with accounts, as raw HTTP clients: whoever signed up or in, with the cookie that the server gave."""

from __future__ import annotations

from typing import Any

import httpx

from streamchat.accounts.sessions import COOKIE

PASSWORD = "correct horse battery"


class Person:
    """One browser of one person: ``client`` has its cookies."""

    def __init__(self, url: str, name: str = "anna", password: str = PASSWORD) -> None:
        self.name = name
        self.password = password
        self.client = httpx.AsyncClient(base_url=url, timeout=20, trust_env=False, verify=False)

    async def __aenter__(self) -> Person:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()

    @property
    def cookie(self) -> str:
        """The session's token, ``""`` for none."""
        return self.client.cookies.get(COOKIE) or ""

    @property
    def headers(self) -> dict[str, str]:
        """The cookie as a raw client sends it."""
        return {"Cookie": f"{COOKIE}={self.cookie}"}

    async def sign_up(self, invitation: str = "", **more: str) -> httpx.Response:
        return await self._form("/sign-up", invitation=invitation, **more)

    async def sign_in(self, **more: str) -> httpx.Response:
        return await self._form("/sign-in", **more)

    async def sign_out(self) -> httpx.Response:
        return await self._form("/sign-out")

    async def me(self) -> dict[str, Any] | None:
        """Who the server takes this browser for."""
        answer = await self.client.get("/api/account")
        return answer.json() if answer.status_code == 200 else None

    async def invite(self, role: str = "user") -> str:
        """The secret of a new invitation."""
        answer = await self.client.post("/api/account/invitations", json={"role": role})
        assert answer.status_code == 201, answer.text
        return answer.json()["invitation"]

    async def new_key(self, **fields: Any) -> dict[str, Any]:
        """A new API key, with its secret as ``key``."""
        answer = await self.client.post("/api/account/keys", json={"name": "program", **fields})
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def _form(self, path: str, **fields: str) -> httpx.Response:
        return await self.client.post(path, data={"name": self.name, "password": self.password, **fields})
