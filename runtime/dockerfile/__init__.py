"""The Dockerfile language, text to typed commands: no files are opened here."""
