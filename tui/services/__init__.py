"""All knowledge of Azure: synchronous, typed, silent."""
