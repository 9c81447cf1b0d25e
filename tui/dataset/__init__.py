"""Pure reading, checking, describing, mending and splitting of chat datasets."""
