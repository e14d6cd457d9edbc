"""The parts of the example day; ../make-qa-day.py puts them together."""
