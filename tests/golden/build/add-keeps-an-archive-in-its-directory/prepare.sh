mkdir -p t/d
echo a > t/d/a
ln -s ../../.. t/dots
tar -cf a.tar -C t d dots
mkdir t/dots2
echo x > t/x
tar -P --transform 's,^x,../../up,' -cf up.tar -C t x
rm -r t
