#!/usr/bin/env bash
# Makes what compose.yaml needs and no repository holds: random passwords and tokens in secrets/, readable by you only, and .env.
# Run it again at any time: it keeps what is there. Give another folder as the argument to make them there.
set -euo pipefail
umask 077

folder=${1:-$(dirname "$0")}
secrets=$folder/secrets
mkdir -p "$secrets"

random() { python3 -c 'import secrets; print(secrets.token_hex(32), end="")'; }
# Writes standard input to a file that does not exist yet, whole or not at all.
keep() {
  if [[ -e $1 ]]; then
    cat >/dev/null
  else
    cat >"$1.new"
    mv "$1.new" "$1"
  fi
}

random | keep "$secrets/ray_token"
random | keep "$secrets/postgres_password"
printf 'operator:%s' "$(random)" | keep "$secrets/prefect_auth"
if [[ ! -e $secrets/store_credentials ]]; then
  key=$(random)
  rm -f "$secrets/store_identities"
  keep "$secrets/store_identities" <<EOF
{"identities": [{"name": "lensscan", "credentials": [{"accessKey": "lensscan", "secretKey": "$key"}],
  "actions": ["Admin", "Read", "List", "Tagging", "Write"]}]}
EOF
  keep "$secrets/store_credentials" <<EOF
[default]
aws_access_key_id = lensscan
aws_secret_access_key = $key
EOF
fi
# Files of secrets keep their owner in a container, so its processes must run as that user; root gives them to another one.
uid=$(id -u) gid=$(id -g)
if [[ $uid == 0 ]]; then
  uid=10001 gid=10001
  chown -R "$uid:$gid" "$secrets"
fi
keep "$folder/.env" <<EOF
LENSSCAN_UID=$uid
LENSSCAN_GID=$gid
LENSSCAN_BUCKET=survey
LENSSCAN_RAY_CPUS=$(nproc)
EOF
echo "secrets in $secrets, settings in $folder/.env"
