#!/usr/bin/env bash
# Runs a command with secrets from files: the value of PREFECT_..._FILE names a file, whose content becomes PREFECT_....
# Prefect reads passwords from variables only, and a variable in a Compose file would show them to everyone who reads it.
set -euo pipefail

for name in "${!PREFECT_@}"; do
  if [[ $name == *_FILE ]]; then
    value=$(<"${!name}")
    export "${name%_FILE}=$value"
    unset "$name"
  fi
done

exec "$@"
