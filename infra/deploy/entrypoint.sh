#!/usr/bin/env bash
# Runs a command with secrets from files: the value of NAME_FILE names a file, whose content becomes the value of NAME.
# Only these names: Prefect has settings of its own that end in _FILE, such as PREFECT_API_SSL_CERT_FILE.
# Prefect reads passwords from variables only, and a variable in a Compose file would show them to everyone who reads it.
set -euo pipefail

for name in PREFECT_API_AUTH_STRING PREFECT_API_KEY PREFECT_SERVER_API_AUTH_STRING PREFECT_SERVER_DATABASE_PASSWORD; do
  file=${name}_FILE
  if [[ -v $file ]]; then
    value=$(<"${!file}")
    export "$name=$value"
    unset "$file"
  fi
done

exec "$@"
