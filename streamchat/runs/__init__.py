"""A run is one answer being produced: the producer, its log, and those who follow it."""
