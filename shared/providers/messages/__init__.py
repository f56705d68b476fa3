"""Anthropic's Messages dialect over the chat engine: requests into chat, answers into messages."""
