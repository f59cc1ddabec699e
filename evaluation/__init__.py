"""Measures: pure functions on rankings, spans and confidences, and the benchmarks behind `make bench`."""
