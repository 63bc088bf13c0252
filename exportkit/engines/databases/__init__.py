"""Database servers as sources: segments run there, and mean what they mean on files."""
