"""The decisions, pure: `plan(snapshot, inputs, now_ms) -> Plan`. No clock, no randomness, no AWS, no logging."""
