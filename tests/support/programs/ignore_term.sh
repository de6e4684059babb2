#!/bin/sh
# Ignores SIGTERM, and so does its child: only SIGKILL ends them.
trap '' TERM
echo ready
sleep 3600 &
wait
