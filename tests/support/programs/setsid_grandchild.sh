#!/bin/sh
# setsid_grandchild.sh FILE [once]: leaves a grandchild in a session of its own that writes
# "SIGTERM" into FILE when told to stop.  With `once` the program itself ends at once.
# The loop: its sleep may be told a moment earlier, and the death of that is no reason to end.
setsid sh -c 'trap "echo SIGTERM >\"$1\"; exit 0" TERM; echo $$ >"$1.pid"
              while :; do sleep 3600 & wait; done' grandchild "$1" &
while ! [ -s "$1.pid" ]; do sleep 0.01; done
echo ready
[ "${2-}" = once ] && exit 0
sleep 3600
