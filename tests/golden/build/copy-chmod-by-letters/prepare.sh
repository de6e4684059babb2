chmod 0700 d/sub
chmod 0600 d/a
chmod 0711 d/sub/b
