"""The step engine on CPUs: compiled, the same bits on any of them."""
