#!/bin/sh
# Makes the image `busybox` of the machine's static one, for the pages' examples.
set -e
place=$(mktemp -d)
mkdir "$place/bin" "$place/etc" "$place/tmp" "$place/srv"
cp /bin/busybox "$place/bin/"
for name in $(busybox --list); do
  [ "$name" = busybox ] || ln -s busybox "$place/bin/$name"
done
tar -C "$place" -c . | runtime import --change 'CMD ["sh"]' - busybox >/dev/null
rm -r "$place"
