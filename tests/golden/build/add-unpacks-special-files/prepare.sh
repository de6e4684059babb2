mkdir t
mknod t/null c 1 3
mknod t/block b 7 1
mkfifo t/fifo
tar -cf a.tar -C t .
rm -r t
