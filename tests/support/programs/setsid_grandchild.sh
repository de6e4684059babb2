#!/bin/sh
# setsid_grandchild.sh FILE [once]: leaves a grandchild in a session of its own that writes
# "SIGTERM" into FILE when told to stop.  With `once` the program itself ends at once.
setsid sh -c 'trap "echo SIGTERM >\"$1\"; exit 0" TERM; echo $$ >"$1.pid"; sleep 3600 & wait' \
    grandchild "$1" &
while ! [ -s "$1.pid" ]; do sleep 0.01; done
echo ready
[ "${2-}" = once ] && exit 0
sleep 3600
