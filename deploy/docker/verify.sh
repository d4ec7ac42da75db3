#!/bin/sh
# Really runs the containers and checks what they promise; see verify.py. Needs docker, compose and Python 3.
exec python3 "$(dirname "$0")/verify.py" "$@"
