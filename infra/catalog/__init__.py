"""What providers do not publish in their lists of models: the files, and the command that puts them into the store."""
