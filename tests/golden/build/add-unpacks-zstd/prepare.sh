tar -cf a.tar a
zstd -q a.tar
