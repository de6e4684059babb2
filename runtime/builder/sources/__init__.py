"""Where a build's files come from: contexts, URLs, git, temporary places."""
