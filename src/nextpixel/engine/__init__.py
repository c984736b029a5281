"""Executors of programs, step by step."""
