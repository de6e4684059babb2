ln -s b d/sub/link
