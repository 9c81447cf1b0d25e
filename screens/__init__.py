"""One module per step of the portal's flow."""
