"""Chats that an account keeps: sessions, their messages, and what a completion takes from one and leaves in it."""
