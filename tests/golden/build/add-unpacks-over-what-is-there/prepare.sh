mkdir -p t/d/e
echo a > t/d/a
echo b > t/d/e/b
chmod 0600 t/d/a
chmod 4755 t/d/e/b
chmod 0711 t/d/e
chown 5:6 t/d/a
chown 1000:1001 t/d/e
ln -s a t/d/link
ln t/d/a t/d/twin

tar -cf a.tar -C t d
rm -r t
