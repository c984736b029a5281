"""Where and how work runs on this machine: threads, memory, devices, processes, compiled code."""
