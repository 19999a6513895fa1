#!/bin/sh
# Ask, read the events as they come, and look at the whole answer: sh examples/curl.sh "Hello"
set -eu
server=${STREAMCHAT_URL:-http://localhost:3000}

begun=$(curl -sS --fail-with-body "$server/api/runs" --json "{\"message\": \"${1:-Hello}\"}")
run=$(printf '%s' "$begun" | sed 's/.*"run_id":"\([^"]*\)".*/\1/')
curl -sSN "$server/api/runs/$run/events"
# From any point: curl -N "$server/api/runs/$run/events?after=5". Stop it: curl -X DELETE "$server/api/runs/$run".
curl -sS "$server/api/runs/$run"
