mkdir -p t/d
echo a > t/d/a
ln -s a t/d/link
chown -R 5:6 t
tar -cf a.tar -C t .
rm -r t
