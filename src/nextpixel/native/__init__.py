"""Native code: functions that numba compiles once and keeps, and arithmetic on whole vectors.

Nothing is imported here: numba takes its time, and is loaded by the modules that compile with it.
"""
