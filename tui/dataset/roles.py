"""The names that other formats have for the roles of a chat."""

from __future__ import annotations

ROLES = {
    "human": "user",
    "user": "user",
    "prompter": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "assistant": "assistant",
    "model": "assistant",
    "ai": "assistant",
    "bard": "assistant",
    "bing": "assistant",
    "chatbot": "assistant",
    "system": "system",
    "tool": "tool",
    "function": "tool",
    "function_call": "assistant",
    "observation": "tool",
    "developer": "developer",
}
"""The role in the chat format, by the name of another format in small letters."""
