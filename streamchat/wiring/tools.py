"""Which tools there are, from the settings."""

from __future__ import annotations

from streamchat.settings import Settings
from streamchat.tools.loading import tools_of_modules, tools_of_packages
from streamchat.tools.toolbox import Toolbox


def build_toolbox(settings: Settings) -> Toolbox:
    """Those built in, those of the person's own modules, those of installed packages. Raises ``SettingsError``."""
    tools = [*tools_of_modules(settings.tools), *tools_of_packages()]
    return Toolbox(tools, approve=settings.approve, trust=settings.trust)
