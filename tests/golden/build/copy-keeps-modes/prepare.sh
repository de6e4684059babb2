chmod 0600 a0600
chmod 0755 a0755
chmod 0000 a0000
chmod 6755 setuid
chmod 1777 d
