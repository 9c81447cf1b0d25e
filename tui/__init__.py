"""phift-tui: fine-tune Phi models in Azure AI Foundry from a terminal."""

__version__ = "0.1.0"
