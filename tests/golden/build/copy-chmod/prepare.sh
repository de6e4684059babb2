chmod 0755 d/sub
chmod 0640 a d/sub/b
