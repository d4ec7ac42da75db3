#!/bin/sh
# Makes an authority once, and issues for master, workers and operator what is missing or due.
# MASTER_HOSTS: further names of the master. CERTIFICATE_DAYS: how long certificates are valid.
set -eu
ca=${CA_DIR:-/var/lib/gradcode/ca}
issued=${ISSUED_DIR:-/var/lib/gradcode/issued}
days=${CERTIFICATE_DAYS:-30}

[ -e "$ca/ca-key.pem" ] || gradcode certs init "$ca"

issue() {
    role=$1
    shift
    if [ -e "$issued/$role/cert.pem" ]; then
        gradcode certs rotate "$ca" "$issued/$role" --due
    else
        gradcode certs issue "$ca" --role "$role" --out "$issued/$role" --days "$days" "$@"
    fi
}

hosts=
for each in ${MASTER_HOSTS:-}; do
    hosts="$hosts --host $each"
done
# shellcheck disable=SC2086 # names have no spaces, and each is an argument of its own
issue master $hosts
issue worker
issue operator
