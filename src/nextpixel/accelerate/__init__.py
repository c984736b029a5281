"""Fused training kernels for CPUs."""
