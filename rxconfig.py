"""What `reflex` reads in a checkout. The configuration itself is in ``streamchat/ui/config.py``."""

import os
import sys
from glob import glob

from streamchat import bun, protos
from streamchat.environment import BUILD, is_inherited
from streamchat.errors import StreamchatError
from streamchat.reflex_internals import keep_secrets_from_page_tools
from streamchat.settings import load_settings
from streamchat.ui.config import page_config

# Where the page is decides which origin may open its socket: our settings follow what Reflex has settled on. It reads
# this file at the start, and again in each process when the app is made.
if page_port := os.environ.get("REFLEX_FRONTEND_PORT"):
    os.environ["PORT"] = page_port
keep_secrets_from_page_tools(lambda name: is_inherited(name, BUILD))
try:
    settings = load_settings()
    if settings.grpc_port is not None:
        protos.generate()  # here and not where it is imported: hot reload would take it for a change
    config = page_config(settings, bun.path())
except StreamchatError as error:
    sys.exit(error.user_message)

# Hot reload follows the program and nothing that it writes: a database in this folder would restart it in mid-answer.
_names = (*settings.modules, *settings.tools)
_own = (name if name.endswith(".py") else name.partition(".")[0] for name in _names)
_watched = filter(os.path.exists, ["streamchat", "assets", *glob("*.py"), *_own])
os.environ.setdefault("REFLEX_HOT_RELOAD_OVERRIDE_PATHS", os.pathsep.join(_watched))
