"""Takes secrets out of text before it reaches a log, an error message or the journal."""

from __future__ import annotations

import re

MASK = "[secret]"

# The shapes in which Azure's answers and the SDK's log lines carry secrets; group 1 is kept.
_SHAPES = (
    # JSON Web Tokens.
    re.compile(r"()\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),
    # Signature of a shared access signature, raw or percent-encoded.
    re.compile(r"(?i)((?:^|[?&\s\"';])sig(?:=|%3D))[^&\s\"'<>]+"),
    re.compile(r"(?i)(\bbearer\s+)[A-Za-z0-9._~+/=-]{8,}"),
    re.compile(r"(?i)(\baccountkey=)[A-Za-z0-9+/=]{20,}"),
    re.compile(r"(?i)(\b(?:client_secret|client_assertion|refresh_token|access_token|device_code)=)[^&\s\"']+"),
    re.compile(
        # JSON, and JSON inside a JSON string.
        r"(?i)(\\?[\"'](?:primaryKey|secondaryKey|key1|key2|access_token|refresh_token|id_token|client_secret|sasToken|"
        r"password)\\?[\"']\s*:\s*)\\?[\"'][^\"'\\]*\\?[\"']"
    ),
)


def redact(text: str) -> str:
    """The text with tokens, keys, signatures and passwords masked."""
    for shape in _SHAPES:
        text = shape.sub(rf"\g<1>{MASK}", text)
    return text
