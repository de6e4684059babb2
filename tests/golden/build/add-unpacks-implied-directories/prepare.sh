mkdir -p p/q
echo a > p/q/a
chmod 0700 p p/q
tar -cf a.tar p/q/a
rm -r p
