"""Plan -> kernel source. Three dialects as data; nothing here imports a device."""
