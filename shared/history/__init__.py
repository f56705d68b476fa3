"""What accounts keep of their conversations: chats that people store, and responses that later requests name."""
