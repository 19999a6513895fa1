"""Environment of child processes: an allow-list of variables, so that no key, password or setting reaches them.

Knows names of variables, not the processes. Rules:

* A variable is inherited only if it is on a list here. Whatever else a child needs its owner passes explicitly.
* A name that looks like a secret is never inherited, whatever list it matches.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping

# Needed by programs on every system: locations of programs, homes, temporary files, libraries and certificates;
# language, terminal, and the devices of a local model.
_SYSTEM = frozenset(
    """
    PATH HOME USER LOGNAME SHELL TERM COLORTERM NO_COLOR COLUMNS LINES LANG LANGUAGE TZ TZDIR PWD TMPDIR TEMP TMP
    LD_LIBRARY_PATH LD_PRELOAD DYLD_LIBRARY_PATH DYLD_FALLBACK_LIBRARY_PATH LOCALE_ARCHIVE VIRTUAL_ENV
    SSL_CERT_FILE SSL_CERT_DIR NIX_SSL_CERT_FILE REQUESTS_CA_BUNDLE CURL_CA_BUNDLE NODE_EXTRA_CA_CERTS
    SYSTEMROOT WINDIR COMSPEC PATHEXT APPDATA LOCALAPPDATA PROGRAMDATA PROGRAMFILES USERPROFILE HOMEDRIVE HOMEPATH
    SYSTEMDRIVE NUMBER_OF_PROCESSORS PROCESSOR_ARCHITECTURE
    """.split()
)
_SYSTEM_PREFIXES = (
    "LC_",
    "XDG_",
    "PYTHON",
    "CUDA_",
    "HIP_",
    "ROCR_",
    "HSA_",
    "GGML_",
    "OMP_",
    "MKL_",
    "OPENBLAS_",
    "VK_",
)
NETWORK = frozenset(
    """
    HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY NPM_CONFIG_REGISTRY BUN_CONFIG_REGISTRY BUN_INSTALL_CACHE_DIR
    """.split()
)
"""Proxies and package registries, for a build that installs packages."""
BUILD = NETWORK | {"CI", "PORT", "NODE_ENV", "REFLEX_TELEMETRY_ENABLED", "REFLEX_USE_NPM", "REFLEX_WEB_WORKDIR"}
"""Variables of the page's build."""
DESKTOP = frozenset(
    {"BROWSER", "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "DBUS_SESSION_BUS_ADDRESS", "DESKTOP_SESSION"}
)
"""Variables with which a program opens a window."""
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTH(?!ORITY)|COOKIE", re.IGNORECASE)


def is_inherited(name: str, extra: Collection[str] = ()) -> bool:
    """Return whether a child inherits the variable. ``extra``: further names that it needs, in upper case."""
    upper = name.upper()  # proxies are usually written in lower case; Windows ignores case
    return (upper in _SYSTEM or upper in extra or upper.startswith(_SYSTEM_PREFIXES)) and not _SECRET.search(upper)


def child_environment(extra: Collection[str] = (), environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables of ``environ`` (default: of this process) that a child inherits."""
    source = os.environ if environ is None else environ
    return {name: value for name, value in source.items() if is_inherited(name, extra)}
