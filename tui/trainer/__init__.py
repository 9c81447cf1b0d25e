"""Fine-tuning of Phi-architecture models. Imports nothing else of this project."""
