"""Azure on the loopback interface."""
