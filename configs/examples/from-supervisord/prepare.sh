#!/bin/sh
# Makes the page; without a title there is none.
set -eu
mkdir -p /srv/www
echo "$TITLE" >/srv/www/index.html
