"""Why a job ended badly: one line with what happened, and one with what to change."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path


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
_MEMORY_WORDS = ("can't allocate memory", "cannot allocate memory", "out of memory")
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


def out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that memory was not to be had: of a GPU, or of the machine."""
    text = str(error).lower()
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return named or any(word in text for word in _MEMORY_WORDS)


def explain(error: BaseException, folder: Path) -> TrainingFailed:
    """`error` as a failure that a person can act on; what is not recognised keeps its own first line.

    Args:
        error: What ended the job.
        folder: The job's, whose disk is looked at where it was full.
    """
    if isinstance(error, TrainingFailed):
        return error
    text = " ".join(str(error).split()) or type(error).__name__
    if out_of_memory(error):
        said = text.rpartition("DefaultCPUAllocator: ")[2]  # before it stands where in torch's sources it happened
        return TrainingFailed("OutOfMemory", f"The memory was not enough: {said[:200]}", _MEMORY_ADVICE)
    full = isinstance(error, OSError) and error.errno in _DISK_CODES
    if full or any(word in text.lower() for word in _DISK_WORDS):
        free = shutil.disk_usage(folder).free / 1e6
        return TrainingFailed(
            "DiskFull",
            f"The disk was full while a checkpoint or the output was written; {free:,.0f} MB are free in {folder}",
            "Free space, or keep fewer checkpoints (keep_checkpoints), then resume: the last checkpoint is whole.",
        )
    return TrainingFailed(
        "Unexpected", f"{type(error).__name__}: {text[:300]}", "See std_log.txt for where it happened."
    )
