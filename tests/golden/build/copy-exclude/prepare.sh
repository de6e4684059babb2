mkdir empty
find . -type d -exec chmod 0755 {} +
