chmod 0700 first/sub
chmod 0711 second/sub
chmod 0777 third/sub
