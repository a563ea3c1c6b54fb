"""Measures: what became of tasks and how long it took, by tenant, tier and minute, and samples of the pools."""
