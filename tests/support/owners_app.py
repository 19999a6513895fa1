"""The app without its page, on ``PORT``, for people whom a header names: ``python -m tests.support.owners_app``."""

from __future__ import annotations

import os


def main() -> None:
    os.environ |= {"REFLEX_ENV_MODE": "prod", "__REFLEX_SKIP_COMPILE": "true", "REFLEX_TELEMETRY_ENABLED": "false"}
    import uvicorn

    from streamchat.streamchat import app, holder
    from tests.support.owners import identify_by_header

    holder.identify = identify_by_header
    uvicorn.run(app(), host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
