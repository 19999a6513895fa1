"""Defaults that both the settings and modules without settings need. Durations are seconds."""

from __future__ import annotations

# Logs of answers that have ended: how long they are kept, and how much memory all of them take.
RUN_KEEP_SECONDS = 600.0
RUN_KEEP_BYTES = 64 * 1024 * 1024
# Entries that Redis keeps of one run.
RUN_ENTRIES = 10_000
# Timeouts of a provider: until the first content, between two pieces of content, for the whole answer.
FIRST_TOKEN_SECONDS = 120.0
IDLE_SECONDS = 180.0
TOTAL_SECONDS = 3600.0
# Number of further attempts after the first.
RETRIES = 3
# Bytes of one uploaded file, and of all files of a person. The limit of bodies (deploy/nginx.conf) is a little higher.
FILE_BYTES = 20_000_000
FILES_PER_OWNER = 1_000_000_000
