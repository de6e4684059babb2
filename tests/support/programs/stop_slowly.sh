#!/bin/sh
# stop_slowly.sh SECONDS: on SIGTERM says so, works on for SECONDS, says so again and exits 0.
trap 'echo stopping; sleep "$1"; echo stopped; exit 0' TERM
echo ready
while :; do
    sleep 3600 &
    wait
done
