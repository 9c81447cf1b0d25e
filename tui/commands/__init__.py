"""The headless twin of the screens: one module per noun."""
