chmod 0700 d d/sub
chmod 2750 d/sub/deep
