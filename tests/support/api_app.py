"""The app without its page, on ``PORT``, ended by SIGTERM as the real server: ``python -m tests.support.api_app``."""

from __future__ import annotations

import os


def main() -> None:
    os.environ |= {"REFLEX_ENV_MODE": "prod", "__REFLEX_SKIP_COMPILE": "true", "REFLEX_TELEMETRY_ENABLED": "false"}
    import uvicorn

    from streamchat.streamchat import app

    config = {"host": "127.0.0.1", "log_level": "warning", "access_log": False, "timeout_graceful_shutdown": 2}
    uvicorn.run(app(), port=int(os.environ["PORT"]), **config)


if __name__ == "__main__":
    main()
