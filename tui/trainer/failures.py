"""Why a job ended badly: one line with what happened, and one with what to change."""

from __future__ import annotations

import errno


class TrainingFailed(Exception):
    """A failure with a stable code, one line that says what happened, and one that says what to change."""

    def __init__(self, code: str, message: str, advice: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.advice = advice

    @property
    def line(self) -> str:
        """Both in one line."""
        return f"{self.message}. {self.advice}"


_MEMORY_ADVICE = "Use a smaller batch_size with more gradient_accumulation_steps, a smaller max_length, or method lora."
_DISK_CODES = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DISK_WORDS = (
    "no space left on device",
    "disk quota exceeded",
    "file too large",
    "(os error 28)",
    "(os error 27)",
    # torch.save's two ways to say that less was written than it asked for; it hides the reason.
    "unexpected pos",
    "pytorchstreamwriter failed writing",
)


def explain(error: BaseException) -> TrainingFailed:
    """`error` as a failure that a person can act on; what is not recognised keeps its own first line."""
    if isinstance(error, TrainingFailed):
        return error
    text = " ".join(str(error).split()) or type(error).__name__
    lower = text.lower()
    out_of_memory = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    if out_of_memory or "can't allocate memory" in lower or "out of memory" in lower:
        return TrainingFailed("OutOfMemory", f"The memory was not enough: {text[:200]}", _MEMORY_ADVICE)
    if (isinstance(error, OSError) and error.errno in _DISK_CODES) or any(word in lower for word in _DISK_WORDS):
        return TrainingFailed(
            "DiskFull",
            f"The disk was full while writing: {text[:200]}",
            "Free space, or keep fewer checkpoints (keep_checkpoints), then resume: the last checkpoint is whole.",
        )
    return TrainingFailed(
        "Unexpected", f"{type(error).__name__}: {text[:300]}", "See std_log.txt for where it happened."
    )
