"""Devices: compile kernel source, load it, and (for accelerators) allocate, copy and launch."""
