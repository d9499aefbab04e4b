"""Layer 0: vocabulary without I/O. Errors, clocks, ids, durations, the codec, telemetry."""
