#!/bin/sh
# open_up.sh DIRECTORY… -- COMMAND…: let every user reach each DIRECTORY by its path.
#
# A private directory above it is covered, in this mount namespace alone, by an empty one that holds
# the way to DIRECTORY and nothing else.  For root, in a mount namespace with a /run of its own.
set -eu

count=0
for directory; do # put them aside first: covering one may hide the next
    [ "$directory" = -- ] && break
    count=$((count + 1))
    mkdir -p "/run/.aside/$count"
    mount --bind "$directory" "/run/.aside/$count"
done

number=0
while [ "$1" != -- ]; do
    number=$((number + 1))
    above=$1
    private=
    while [ "$above" != / ]; do
        above=$(dirname "$above")
        case $(stat -c %A "$above") in
        *[xt]) ;;
        *) private=$above ;;
        esac
    done
    if [ -n "$private" ]; then
        mount -t tmpfs -o mode=0755 tmpfs "$private"
    fi
    if ! [ "$1" -ef "/run/.aside/$number" ]; then
        mkdir -p "$1"
        mount --bind "/run/.aside/$number" "$1"
    fi
    umount "/run/.aside/$number"
    shift
done
rm -r /run/.aside
shift
cd "$PWD"
exec "$@"
