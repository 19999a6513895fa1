"""Single sign-on by OpenID Connect: the authorization code flow with PKCE, and the check of what comes back.

Knows the provider and accounts, nothing of requests and cookies. Rules:

* People are known by issuer and ``sub``; a name or a mail address only suggests what they are called here.
* An ID token counts if its signature is of the provider's published keys, by an algorithm with a public key, and
  issuer, audience, nonce and times fit. Nothing else that the provider says is believed.
* What a browser brings back is compared with what was kept for this browser, once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from dataclasses import dataclass
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import httpx2

from streamchat.accounts.service import Accounts
from streamchat.errors import InvalidInput, StreamchatError, Unauthorized
from streamchat.storage.accounts import Account, Conflict

if TYPE_CHECKING:
    import jwt

KIND = "provider"
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
TIMEOUT_SECONDS = 10.0
KEEP_SECONDS = 3600.0
REFRESH_SECONDS = 30.0
LEEWAY_SECONDS = 60
MAX_ANSWER = 1_000_000
_REFUSED = "The sign-in provider's answer does not fit."


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """What the provider gave. ``secret``: ``None`` for a public client."""

    issuer: str
    client_id: str
    secret: str | None


class ProviderUnavailable(StreamchatError):
    """The provider cannot be reached, or does not speak OpenID Connect."""

    kind = "sign-in-unavailable"


class Provider:
    """One provider of identities, asked over ``client`` if one is given."""

    def __init__(self, settings: ProviderSettings, client: httpx2.AsyncClient | None = None) -> None:
        self._settings = settings
        self._client = client or httpx2.AsyncClient(timeout=TIMEOUT_SECONDS, follow_redirects=False)
        self._metadata: tuple[dict[str, Any], float] | None = None
        self._keys: tuple[jwt.PyJWKSet, float] | None = None

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def begin(self, accounts: Accounts, redirect_uri: str, keep: dict[str, str]) -> tuple[str, str]:
        """Return the secret that the browser keeps, and the address at the provider to which it goes.

        ``keep``: what ``finish`` returns. Raises ``ProviderUnavailable``.
        """
        metadata = await self._discover()
        state, nonce, verifier = token_urlsafe(24), token_urlsafe(24), token_urlsafe(48)
        data = {"kind": KIND, "state": state, "nonce": nonce, "verifier": verifier, "keep": keep}
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": redirect_uri,
            "scope": "openid profile",
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        endpoint = metadata["authorization_endpoint"]
        address = f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"
        return await accounts.begin_ceremony(data), address

    async def finish(
        self, accounts: Accounts, secret: str | None, redirect_uri: str, answer: dict[str, str]
    ) -> tuple[Account, dict[str, str]]:
        """Return the account of the person whom the provider names, and what ``begin`` kept.

        ``answer``: the query with which the browser came back. Raises ``Unauthorized``, ``ProviderUnavailable``, and
        ``NotFound`` if an account would need an invitation.
        """
        data = await accounts.take_ceremony(secret, KIND)
        if not hmac.compare_digest(answer.get("state", ""), data["state"]):
            raise Unauthorized(_REFUSED)
        if "error" in answer or "code" not in answer:
            raise Unauthorized("The sign-in provider did not let you in.")
        token = await self._exchange(answer["code"], data["verifier"], redirect_uri)
        claims = await self._verify(token, data["nonce"])
        account = await self._account(accounts, claims, data["keep"].get("invitation") or None)
        if account.disabled:
            raise Unauthorized("This account is disabled.")
        return account, data["keep"]

    async def _account(self, accounts: Accounts, claims: dict[str, Any], invitation: str | None) -> Account:
        identity = (self._settings.issuer, claims["sub"])
        if (account := await accounts.store.by_identity(*identity)) is not None:
            return account
        names = [claims.get(name) for name in ("preferred_username", "name", "nickname")]
        suggested = next((name for name in names if isinstance(name, str) and name.strip()), "person")
        for name in (suggested, "person", *(f"person {token_urlsafe(4)}" for _ in range(3))):
            try:
                return await accounts.sign_up_as(name, identity, invitation)
            except Conflict:  # the name is taken
                continue
            except InvalidInput:  # it cannot be a name here
                continue
        raise Unauthorized(_REFUSED)

    async def _discover(self) -> dict[str, Any]:
        if self._metadata is not None and self._metadata[1] > time.monotonic():
            return self._metadata[0]
        issuer = self._settings.issuer
        metadata = await self._ask("GET", issuer.rstrip("/") + "/.well-known/openid-configuration")
        needed = ("authorization_endpoint", "token_endpoint", "jwks_uri")
        is_complete = all(str(metadata.get(name, "")).startswith(("https://", "http://")) for name in needed)
        if metadata.get("issuer") != issuer or not is_complete:
            raise ProviderUnavailable("STREAMCHAT_OIDC_ISSUER is not the address of an OpenID Connect provider.")
        self._metadata = metadata, time.monotonic() + KEEP_SECONDS
        return metadata

    async def _exchange(self, code: str, verifier: str, redirect_uri: str) -> str:
        metadata = await self._discover()
        fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        fields |= {"client_id": self._settings.client_id, "code_verifier": verifier}
        basic = None
        if self._settings.secret is not None:
            methods = metadata.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
            if "client_secret_basic" in methods:
                basic = (self._settings.client_id, self._settings.secret)
            else:
                fields["client_secret"] = self._settings.secret
        answer = await self._ask("POST", metadata["token_endpoint"], data=fields, auth=basic)
        if not isinstance(token := answer.get("id_token"), str):
            raise Unauthorized(_REFUSED)
        return token

    async def _verify(self, token: str, nonce: str) -> dict[str, Any]:
        import jwt

        try:
            header = jwt.get_unverified_header(token)
            key = await self._key(header)
            claims = jwt.decode(
                token,
                key.key,
                algorithms=[header["alg"]] if header.get("alg") in ALGORITHMS else [],
                audience=self._settings.client_id,
                issuer=self._settings.issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["iss", "sub", "aud", "exp", "iat"]},
            )
        except jwt.PyJWTError:
            raise Unauthorized(_REFUSED) from None
        others = claims.get("azp", self._settings.client_id) != self._settings.client_id
        if others or not hmac.compare_digest(str(claims.get("nonce", "")), nonce) or not isinstance(claims["sub"], str):
            raise Unauthorized(_REFUSED)
        return claims

    async def _key(self, header: dict[str, Any]) -> jwt.PyJWK:
        """Return the provider's key that signed; keys that it has published since are fetched, but not all the time."""
        for max_age in (KEEP_SECONDS, REFRESH_SECONDS):
            keys = await self._published(max_age)
            fitting = [key for key in keys.keys if header.get("kid") in (None, key.key_id)]
            if len(fitting) == 1:
                return fitting[0]
        raise Unauthorized(_REFUSED)

    async def _published(self, max_age: float) -> jwt.PyJWKSet:
        import jwt

        if self._keys is None or time.monotonic() - self._keys[1] > max_age:
            answer = await self._ask("GET", (await self._discover())["jwks_uri"])
            self._keys = jwt.PyJWKSet.from_dict(answer), time.monotonic()
        return self._keys[0]

    async def _ask(self, method: str, url: str, **more: Any) -> dict[str, Any]:
        try:
            response = await self._client.request(method, url, headers={"Accept": "application/json"}, **more)
            if response.status_code >= 500 or len(response.content) > MAX_ANSWER:
                raise ProviderUnavailable("The sign-in provider does not answer as it should. Try again later.")
            answer = response.json()
        except (httpx2.HTTPError, httpx2.InvalidURL):
            raise ProviderUnavailable("The sign-in provider cannot be reached. Try again later.") from None
        except ValueError:
            raise ProviderUnavailable("The sign-in provider does not answer as it should. Try again later.") from None
        if response.status_code >= 400 or not isinstance(answer, dict):
            raise Unauthorized(_REFUSED)
        return answer
