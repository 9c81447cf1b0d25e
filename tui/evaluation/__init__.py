"""Pure metrics and statistics for comparing two models."""
