"""Passkeys: what a browser is asked, and whether its answer counts (WebAuthn).

Knows the library and the rows of passkeys, nothing of HTTP. Rules:

* A challenge counts once and for ten minutes: it is a ceremony of ``Accounts``.
* A passkey is bound to the host name of the page (``host``), which the access check has accepted.
* The passkey itself says whose it is: a sign-in asks for no name, so it tells nobody which names exist.
"""

from __future__ import annotations

import json
from typing import Any

from streamchat.accounts.service import Accounts
from streamchat.errors import InvalidInput, Unauthorized
from streamchat.identity import Identity
from streamchat.storage.accounts import Account, Passkey
from streamchat.storage.tables import now

_REFUSED = "This passkey does not fit."
_MAX_PASSKEYS = 50


async def begin_registration(accounts: Accounts, identity: Identity, host: str) -> tuple[str, dict[str, Any]]:
    """Return a ceremony and what to ask the browser for. Raises ``InvalidInput``."""
    from webauthn import generate_registration_options, options_to_json
    from webauthn.helpers import base64url_to_bytes
    from webauthn.helpers.structs import (
        AuthenticatorSelectionCriteria,
        PublicKeyCredentialDescriptor,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

    known = await accounts.store.passkeys(identity.owner)
    if len(known) >= _MAX_PASSKEYS:
        raise InvalidInput(f"{_MAX_PASSKEYS} passkeys are enough. Remove one first.")
    options = generate_registration_options(
        rp_id=_name(host),
        rp_name="streamchat",
        user_id=identity.owner.encode(),
        user_name=identity.name,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.PREFERRED
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=base64url_to_bytes(row.id)) for row in known],
    )
    data = {"kind": "passkey-add", "owner": identity.owner, "challenge": options.challenge.hex()}
    return await accounts.begin_ceremony(data), json.loads(options_to_json(options))


async def finish_registration(
    accounts: Accounts, identity: Identity, ceremony: str, name: str, credential: dict[str, Any], host: str
) -> Passkey:
    """Store the passkey that the browser made. Raises ``InvalidInput``, ``Unauthorized``."""
    from webauthn import verify_registration_response
    from webauthn.helpers import bytes_to_base64url

    data = await accounts.take_ceremony(ceremony, "passkey-add")
    if data["owner"] != identity.owner:
        raise Unauthorized(_REFUSED)
    try:
        verified = verify_registration_response(
            credential=credential,
            expected_challenge=bytes.fromhex(data["challenge"]),
            expected_rp_id=_name(host),
            expected_origin=_origins(host),
            require_user_verification=False,
        )
    except Exception:  # the library has no common base for what a credential can be wrong in
        raise InvalidInput(_REFUSED) from None
    passkey = Passkey(
        bytes_to_base64url(verified.credential_id),
        identity.owner,
        name,
        bytes_to_base64url(verified.credential_public_key),
        verified.sign_count,
        now(),
        None,
    )
    await accounts.store.add_passkey(passkey)
    await accounts.audit.record("passkey-added", identity.owner, identity.owner, id=passkey.id)
    return passkey


async def begin_sign_in(accounts: Accounts, host: str) -> tuple[str, dict[str, Any]]:
    """Return a ceremony and what to ask the browser for."""
    from webauthn import generate_authentication_options, options_to_json

    options = generate_authentication_options(rp_id=_name(host))
    data = {"kind": "passkey", "challenge": options.challenge.hex()}
    return await accounts.begin_ceremony(data), json.loads(options_to_json(options))


async def finish_sign_in(accounts: Accounts, ceremony: str, credential: dict[str, Any], host: str) -> Account:
    """Return the account whose passkey signed the challenge. Raises ``Unauthorized``."""
    from webauthn import verify_authentication_response
    from webauthn.helpers import base64url_to_bytes

    data = await accounts.take_ceremony(ceremony, "passkey")
    passkey_id = credential.get("id")
    known = await accounts.store.passkey(passkey_id) if isinstance(passkey_id, str) else None
    if known is None:
        raise Unauthorized(_REFUSED)
    passkey, account = known
    try:
        verified = verify_authentication_response(
            credential=credential,
            expected_challenge=bytes.fromhex(data["challenge"]),
            expected_rp_id=_name(host),
            expected_origin=_origins(host),
            credential_public_key=base64url_to_bytes(passkey.public_key),
            credential_current_sign_count=passkey.sign_count,
        )
    except Exception:
        raise Unauthorized(_REFUSED) from None
    await accounts.store.count_passkey(passkey.id, verified.new_sign_count)
    return account


def _name(host: str) -> str:
    """Return the host's name without its port."""
    return host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host


def _origins(host: str) -> list[str]:
    # Behind a proxy that speaks TLS the server does not know which of the two it was; the host is checked either way.
    return [f"https://{host}", f"http://{host}"]
