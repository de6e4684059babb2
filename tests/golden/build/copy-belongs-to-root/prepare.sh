chown 5:6 a
chown -R 1000:1001 d
ln -s a link
chown -h 7:8 link
