"""The signature of a delivery, as in Standard Webhooks: HMAC-SHA256 with a secret ``whsec_…``, version ``v1``.

Knows no clock and no connection.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from secrets import token_bytes

from standardwebhooks.webhooks import Webhook

PREFIX = "whsec_"
_SECRET_BYTES = 32


def new_secret() -> str:
    """Return a secret for one receiver."""
    return PREFIX + base64.b64encode(token_bytes(_SECRET_BYTES)).decode()


def headers(secret: str, delivery_id: str, timestamp: int, body: str) -> dict[str, str]:
    """Return the three headers of a delivery. ``timestamp``: of this attempt, in seconds since 1970."""
    return {
        "webhook-id": delivery_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": Webhook(secret).sign(delivery_id, datetime.fromtimestamp(timestamp, UTC), body),
    }
