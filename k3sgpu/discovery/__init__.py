"""From addresses to a stack file: which machines are meant, what they are, and what the file should say."""
