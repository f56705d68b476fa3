"""OpenAI's Responses dialect, as the Open Responses specification has it, over the chat dialect."""
