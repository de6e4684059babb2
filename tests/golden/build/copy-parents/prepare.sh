find . -type d -exec chmod 0755 {} +
