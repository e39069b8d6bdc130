#!/usr/bin/env bash
# Checks the OpenAPI document with the tools of its users: linters report nothing, generated clients pass the strictest
# checks of their language, and these clients buy something in a running shop.
# Without Node.js 20 or later, or without its registry, that part is left out, with a message. Takes ten minutes at most.
set -euo pipefail
[ -n "${CHECK_BOUNDED:-}" ] || CHECK_BOUNDED=yes exec timeout --kill-after=30 10m "$0"
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
project="$(cd "$here/../.." && pwd)"
bin="$project/.venv/bin"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cp "$here"/{package.json,package-lock.json,.redocly.yaml,.spectral.yaml,orval.config.cjs,tsconfig.json,mypy.ini,buys.py} "$work"
mkdir "$work/typescript" && cp "$here/buys.ts" "$work/typescript"
cd "$work"
export PATH="$bin:$PATH" PYTHONPATH="$project"

step() { printf '\n-- %s\n' "$1"; }

serving() { python "$here/serving.py" "$work/shop-$1" "${@:2}"; }

with_python() {
    step "openapi-spec-validator"
    openapi-spec-validator openapi.json
    step "openapi-python-client, mypy --strict"
    openapi-python-client generate --path openapi.json --output-path shop_client --meta none --fail-on-warning
    mypy --config-file mypy.ini shop_client buys.py
    step "the Python client buys something"
    PYTHONPATH="$work:$project" serving python python buys.py "{url}" "{key}"
}

node_is_there() {
    local version
    version="$(node --version 2>/dev/null)" && command -v npm >/dev/null || { echo "Left out: there is no Node.js with npm"; return 1; }
    version="${version#v}"
    [ "${version%%.*}" -ge 20 ] || { echo "Left out: Node.js $version is older than 20"; return 1; }
    # A registry that is not there, or says nothing, is not waited for.
    timeout --kill-after=5 150 npm ci --ignore-scripts --no-audit --no-fund --loglevel=error \
        --fetch-retries=1 --fetch-timeout=20000 </dev/null >npm.log 2>&1 \
        || { echo "Left out: the packages could not be installed"; tail -n 3 npm.log; return 1; }
}

with_node() {
    export PATH="$work/node_modules/.bin:$PATH" REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true
    step "Redocly, recommended-strict"
    redocly lint openapi.json --config .redocly.yaml
    step "Spectral, spectral:oas"
    spectral lint openapi.json --ruleset .spectral.yaml --fail-severity hint
    step "hey-api, orval, tsc --strict"
    openapi-ts --input openapi.json --output typescript/hey-api --client @hey-api/client-fetch --no-log-file
    orval --config orval.config.cjs
    tsc --project tsconfig.json
    step "the TypeScript client buys something"
    serving typescript node javascript/buys.js "{url}" "{key}"
}

python - >openapi.json <<'PYTHON'
import json

from config.settings import read_settings
from main import create_fastapi_app

print(json.dumps(create_fastapi_app(read_settings({"REDIS_ENABLED": "false"})).openapi()))
PYTHON
with_python
step "tools of Node.js"
if node_is_there; then with_node; fi
