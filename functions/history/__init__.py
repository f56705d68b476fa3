"""Chats that people keep: sessions, their messages, and the search for words in them."""
